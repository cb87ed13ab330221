import { expect } from 'chai';
import { decodeVolumeName, encodeVolumeName, type Identity, identityText } from '../../../src/core/identity.ts';
import type { ImageStatus } from '../../../src/core/lifecycle.ts';
import type { ImageRecord, Provenance } from '../../../src/core/record.ts';
import type { WantedImage } from '../../../src/core/selection.ts';
import { planSync, type SyncFacts, type SyncStep } from '../../../src/core/sync-plan.ts';

const PRODUCT = 'com.ubuntu.cloud:server:24.04:amd64';
const DIGEST = { algorithm: 'sha256', hex: 'ab'.repeat(32) } as const;
const FETCHED: Provenance = {
  source: 'https://images.test/',
  itemPath: 'server/1.img',
  sizeBytes: 1024n,
  digest: DIGEST,
  signer: undefined,
  broughtBy: 'poolkeeper 0.1.0',
};
export const UVTOOL: Provenance = {
  source: undefined,
  itemPath: undefined,
  sizeBytes: undefined,
  digest: undefined,
  signer: undefined,
  broughtBy: 'uvtool',
};
export const UNKNOWN: Provenance = { ...UVTOOL, broughtBy: 'unknown' };

/** The state of a host in short: version names only, all of one product unless `product/version` is written. */
export interface Host {
  readonly wanted?: readonly string[];
  readonly volumes?: readonly string[];
  readonly metadata?: readonly string[];
  readonly records?: Readonly<Record<string, ImageStatus>>;
  readonly provenance?: Provenance;
  readonly unknown?: Readonly<Record<string, string>>;
  readonly keepVersions?: number;
  readonly offeredTags?: Readonly<Record<string, string>>;
}

export function identityOf(text: string): Identity {
  const [first = '', second] = text.split('/');
  return second === undefined ? { product: PRODUCT, version: first } : { product: first, version: second };
}

function volumeName(identity: Identity): string {
  return encodeVolumeName(identity, 'dir');
}

function tagsOf({ product, version }: Identity): Record<string, string> {
  return { product_name: product, version_name: version, release: 'noble', updated: 'today' };
}

function wantedImage(text: string): WantedImage {
  const identity = identityOf(text);
  return { identity, path: 'p', sizeBytes: 1024n, digest: DIGEST, tags: tagsOf(identity), signer: undefined };
}

function recordOf(text: string, status: ImageStatus, provenance: Provenance): [string, ImageRecord] {
  const identity = identityOf(text);
  const times = { createdAt: 1, statusSince: 1, lastNeededAt: 1 };
  const name = volumeName(identity);
  return [name, { volumeName: name, identity, status, reason: undefined, provenance, tags: {}, times }];
}

export function factsOf(host: Host): SyncFacts {
  const { provenance = FETCHED, offeredTags = {} } = host;
  const identities = (texts: readonly string[] = []): readonly Identity[] => texts.map(identityOf);
  return {
    wanted: (host.wanted ?? []).map(wantedImage),
    volumeName,
    volumes: new Map(identities(host.volumes).map((identity) => [volumeName(identity), identity])),
    metadata: new Map(
      identities(host.metadata).map((identity) => [
        identityText(identity),
        { identity, item: { ...tagsOf(identity), ...offeredTags } },
      ]),
    ),
    records: new Map(Object.entries(host.records ?? {}).map(([text, status]) => recordOf(text, status, provenance))),
    unknown: new Map(Object.entries(host.unknown ?? {}).map(([text, why]) => [identityText(identityOf(text)), why])),
    partials: new Map(),
    rewritten: new Set<string>(),
    keepVersions: host.keepVersions ?? 1,
  };
}

/** A step in short: `fetch 2`, `retire 1 for 2`, `retain 1 for 2`. */
export function brief(step: SyncStep): string {
  const { product, version } = 'image' in step ? step.image.identity : step.identity;
  const what = product === PRODUCT ? version : `${product}/${version}`;
  expect(step.volumeName).to.equal(volumeName({ product, version }));
  if (step.action === 'retire') {
    return `${step.retained ? 'retain' : 'retire'} ${what} for ${decodeVolumeName(step.replacedBy)?.version}`;
  }
  return step.action === 'skip' ? `skip ${what}: ${step.reason}` : `${step.action} ${what}`;
}

export function plan(host: Host): readonly string[] {
  return planSync(factsOf(host)).map(brief);
}

/** A host that poolkeeper brought to this state: volumes with records, of which the last is offered. */
export function held(...versions: readonly string[]): Host {
  const records = Object.fromEntries(versions.map((version): [string, ImageStatus] => [version, 'active']));
  return { volumes: versions, records, metadata: versions.slice(-1) };
}
