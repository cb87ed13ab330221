import { expect } from 'chai';
import * as fc from 'fast-check';
import { encodeMetadataName, type Identity, identityText } from '../../../src/core/identity.ts';
import type { ImageStatus } from '../../../src/core/lifecycle.ts';
import {
  causeToKeep,
  judgeOrphans,
  knownItems,
  type KnownImages,
  massRemovals,
  type Suspect,
} from '../../../src/core/orphans.ts';
import type { ImageRecord } from '../../../src/core/record.ts';
import type { PoolVolume } from '../../../src/core/sweep-plan.ts';
import type { Edge, GraphNode, UseGraph } from '../../../src/core/use-graph.ts';

const IMAGE: Identity = { product: 'com.example:noble', version: '1' };
const NAME = encodeMetadataName(IMAGE);
const SHA256 = 'ab'.repeat(32);
const NOTHING: KnownImages = {
  metadata: new Map(),
  records: new Map(),
  unreadable: new Map(),
  unfinished: new Set(),
};
const POLICY = { now: 1000, minAgeMs: 100 };

function volume(name: string, change: Partial<PoolVolume> = {}): PoolVolume {
  const sizes = { capacityBytes: 1n, allocationBytes: 1n, lengthBytes: 1n };
  return { pool: 'p', name, key: name, path: `/p/${name}`, type: 'file', ...sizes, modifiedAtMs: 0, ...change };
}

function record(status: ImageStatus): ImageRecord {
  return {
    volumeName: NAME,
    identity: IMAGE,
    status,
    reason: undefined,
    provenance: {
      source: undefined,
      itemPath: undefined,
      sizeBytes: 7n,
      digest: { algorithm: 'sha512', hex: 'cd' },
      signer: undefined,
      broughtBy: 'test',
    },
    tags: {},
    times: { createdAt: 0, statusSince: 0, lastNeededAt: 0 },
  };
}

function edgeTo(name: string): Edge {
  return { reference: { kind: 'path', value: name, evidence: 'header' }, document: 'document', tokens: [name] };
}

function suspect(name: string, needs: readonly string[] = [], change: Partial<Suspect> = {}): Suspect {
  const edges = needs.map(edgeTo);
  const node: GraphNode = { id: name, label: name, tokens: [name], paths: [`/p/${name}`], isDirectory: false, edges };
  return { volume: volume(name), node, cause: undefined, ...change };
}

function graphOf(suspects: readonly Suspect[], needed: readonly string[] = []): UseGraph {
  const roots = needed.length === 0 ? [] : [{ label: 'domain x', edges: needed.map(edgeTo) }];
  return { nodes: suspects.map(({ node }) => node), roots, blindSpots: [] };
}

/** Names in the order of deletion, then names that stay, each with the kind of its reason. */
function judged(suspects: readonly Suspect[], needed: readonly string[] = [], chosen?: readonly string[]): string[] {
  const verdicts = judgeOrphans(
    suspects,
    graphOf(suspects, needed),
    POLICY,
    ({ name }) => chosen?.includes(name) ?? true,
  );
  return verdicts.map(
    (verdict) => `${verdict.volume.name}: ${verdict.action === 'keep' ? verdict.reason.kind : 'delete'}`,
  );
}

describe('causeToKeep', () => {
  const named = { name: NAME, isNameExact: true };

  it('finds none for what nobody knows, a record of a deleted image included', () => {
    expect(causeToKeep({ name: 'web1.qcow2', isNameExact: true }, NOTHING)).to.equal(undefined);
    expect(causeToKeep(named, NOTHING)).to.equal(undefined);
    expect(causeToKeep(named, { ...NOTHING, records: new Map([[NAME, record('deleted')]]) })).to.equal(undefined);
  });

  it('keeps what has a record or a metadata file, and what they may tell of if they could be read', () => {
    const key = identityText(IMAGE);
    const cases: readonly Partial<KnownImages>[] = [
      { records: new Map([[NAME, record('active')]]) },
      { records: new Map([[NAME, record('pending_delete')]]) },
      { metadata: new Map([[key, { identity: IMAGE, item: {} }]]) },
      { unreadable: new Map([[key, 'it is damaged']]) },
      { unfinished: new Set([NAME]) },
    ];
    expect(cases.map((known) => causeToKeep(named, { ...NOTHING, ...known }))).to.deep.equal([
      `image ${key} is active`,
      `image ${key} is pending_delete`,
      `image ${key} is offered`,
      'it is damaged',
      'an interrupted sync has begun to fetch it',
    ]);
  });

  it('keeps what cannot be named exactly', () => {
    expect(causeToKeep({ name: 'a\ufffd', isNameExact: false }, NOTHING)).to.equal('its name is not UTF-8');
  });
});

describe('judgeOrphans', () => {
  it('deletes overlays before their bases, and keeps what a root needs', () => {
    const suspects = [suspect('base'), suspect('over', ['base']), suspect('used'), suspect('top', ['over'])];
    expect(judged(suspects, ['used'])).to.deep.equal(['top: delete', 'over: delete', 'base: delete', 'used: needed']);
  });

  it('keeps what something stands on that was not chosen, is young, or is kept house over', () => {
    const young = { volume: volume('over', { modifiedAtMs: 950 }) };
    expect(judged([suspect('base'), suspect('over', ['base'])], [], ['base'])).to.deep.equal(['base: needed']);
    expect(judged([suspect('base'), suspect('over', ['base'], young)])).to.deep.equal(['base: needed', 'over: young']);
    expect(judged([suspect('base'), suspect('over', ['base'], { cause: 'offered' })])).to.deep.equal(['base: needed']);
  });

  it('takes a volume without a time of change for a young one', () => {
    const timeless = { volume: volume('a', { modifiedAtMs: undefined }) };
    expect(judged([suspect('a', [], timeless)])).to.deep.equal(['a: young']);
  });

  it('keeps a file that any of its pools keeps house over', () => {
    const one = suspect('a');
    const other = { ...one, volume: volume('a', { pool: 'q' }), cause: 'image is offered' };
    expect(judged([one, other])).to.deep.equal([]);
  });

  it('never deletes what something stands on that stays', () => {
    const ids = ['a', 'b', 'c', 'd', 'e'];
    const some = fc.subarray(ids);
    fc.assert(
      fc.property(fc.tuple(...ids.map(() => some)), some, some, (needs, needed, chosen) => {
        const suspects = ids.map((id, index) => suspect(id, needs[index]));
        const doomed = judged(suspects, needed, chosen)
          .filter((text) => text.endsWith('delete'))
          .map((text) => text.replace(': delete', ''));
        const staying = suspects.filter(({ node }) => !doomed.includes(node.id));
        const held = new Set([...needed, ...staying.flatMap(({ node }) => node.edges.flatMap(({ tokens }) => tokens))]);
        expect(doomed.filter((name) => held.has(name) || !chosen.includes(name))).to.deep.equal([]);
      }),
    );
  });
});

describe('massRemovals', () => {
  it('names the pools that would lose more than half of their volumes', () => {
    const volumes = ['a', 'b', 'c', 'd'].map((name) => volume(name));
    const others = ['a', 'b', 'c'].map((name) => volume(name, { pool: 'q' }));
    expect(massRemovals([...volumes.slice(0, 2), ...others.slice(0, 2)], [...volumes, ...others])).to.deep.equal(['q']);
    expect(massRemovals([], volumes)).to.deep.equal([]);
  });
});

describe('knownItems', () => {
  it('reads sizes and digests out of records and metadata files, where both are there', () => {
    const item = (size: string, sha256: string) => ({ identity: IMAGE, item: { size, sha256 } });
    const metadata = new Map([
      ['1', item('5', SHA256.toUpperCase())],
      ['2', item('', SHA256)],
      ['3', item('5', 'x')],
    ]);
    expect(knownItems({ ...NOTHING, metadata, records: new Map([[NAME, record('deleted')]]) })).to.deep.equal([
      { identity: IMAGE, sizeBytes: 7n, digest: { algorithm: 'sha512', hex: 'cd' } },
      { identity: IMAGE, sizeBytes: 5n, digest: { algorithm: 'sha256', hex: SHA256 } },
    ]);
  });
});
