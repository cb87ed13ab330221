import { expect } from 'chai';
import { mkdir, open, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gcCommand } from '../../src/commands/gc.ts';
import { encodeMetadataName, type Identity, identityText } from '../../src/core/identity.ts';
import type { ImageRecord } from '../../src/core/record.ts';
import { IncompleteViewError } from '../../src/errors.ts';
import { readHostMoment } from '../../src/state/host-moment.ts';
import { writeLease } from '../../src/state/leases.ts';
import { writeMetadataFile } from '../../src/state/metadata-files.ts';
import { type PoolStatePaths, poolStatePaths } from '../../src/state/paths.ts';
import { writeRecord } from '../../src/state/records.ts';
import { writeSourceMemory } from '../../src/state/source-memory.ts';
import { inProcess } from '../support/in-process.ts';
import { jsonLines } from '../support/json-lines.ts';
import { liveSince } from '../support/lived.ts';
import { rejection } from '../support/rejection.ts';
import { fileDisk, openStages, type Stage } from '../support/scenario.ts';
import { World } from '../support/world.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** File systems may keep whole seconds only. */
const NOW = Math.floor(Date.now() / 1000) * 1000;
const LONG_AGO = NOW - 30 * DAY;
const SOURCE = 'https://images.example/';
const time = (at: number): string => new Date(at).toISOString();

/** An image, and what a dry run says of it, without `image PRODUCT VERSION`. */
interface Kept extends Partial<Omit<ImageRecord, 'identity'>> {
  readonly product: string;
  readonly version?: string;
  readonly isOffered?: boolean;
  readonly hasRecord?: boolean;
  readonly says: readonly string[];
}

const WAITING = { status: 'pending_delete' } as const;
const needed = (lastNeededAt: number) => ({ times: { createdAt: 0, statusSince: LONG_AGO, lastNeededAt } });

/** One of each kind. Without more said of it, an image is active, not offered and was needed a month ago. */
const KINDS: readonly Kept[] = [
  { product: 'offered', version: '2', isOffered: true, says: ['keep: it is offered to new domains'] },
  {
    product: 'offered',
    says: [`keep: it is among the newest versions of its product, eligible at ${time(LONG_AGO + 60 * DAY)}`],
  },
  {
    product: 'offered',
    version: '0',
    says: [
      'would retire: newer versions replace it',
      `keep: needed until recently, eligible at ${time(NOW + 2 * HOUR)}`,
    ],
  },
  {
    product: 'offered',
    version: '3',
    says: [
      'would retire: its source offers an older version only',
      `keep: needed until recently, eligible at ${time(NOW + 2 * HOUR)}`,
    ],
  },
  {
    product: 'unused',
    ...needed(NOW - 60 * DAY),
    says: [
      'would retire: nothing needed it for so long',
      `keep: needed until recently, eligible at ${time(NOW + 2 * HOUR)}`,
    ],
  },
  {
    product: 'locked',
    pin: { reason: 'audit', since: LONG_AGO, until: NOW + DAY },
    says: ['keep: the administrator locked it'],
  },
  {
    product: 'unlocked',
    pin: { reason: 'audit', since: LONG_AGO, until: NOW },
    says: [`keep: it is among the newest versions of its product, eligible at ${time(LONG_AGO + 60 * DAY)}`],
  },
  { product: 'disabled', status: 'deactivated', says: ['keep: it is disabled, not discarded'] },
  { product: 'arriving', status: 'saving', says: ['keep: it has not arrived wholly yet'] },
  {
    product: 'gone',
    provenance: provenance(SOURCE),
    says: ['keep: its product left the source or the filters, which alone is no reason to drop it'],
  },
  {
    product: 'persistent',
    traits: { type: 'os', isPersistent: true },
    says: ['keep: it is persistent'],
  },
  {
    product: 'former',
    traits: { type: 'os', isPersistent: false, snapshotOf: 'persistent' },
    says: ['keep: it is a snapshot of a persistent image'],
  },
  { product: 'leased', says: [`keep: it is in use (lease 3f2a9c01 (sleep, pid 1, until ${time(NOW + HOUR)}))`] },
  { product: 'running', says: ['keep: it is in use (domain running)'] },
  { product: 'defined', says: ['keep: it is in use (domain defined)'] },
  { product: 'snapshot', says: ['keep: it is in use (domain s0x)'] },
  { product: 'overlaid', says: ['keep: it is in use (volume uvtool/disk.qcow2 is not managed)'] },
  { product: 'open', says: ['keep: it is in use (process PID (node))'] },
  {
    product: 'waiting-for-user',
    ...WAITING,
    ...needed(NOW - DAY),
    says: ['keep: needed by domain waiting-for-user'],
  },
  {
    product: 'wanted-again',
    ...WAITING,
    ...needed(LONG_AGO - DAY),
    says: ['would rescue: needed by domain wanted-again', 'keep: needed by domain wanted-again'],
  },
  {
    product: 'recent',
    ...WAITING,
    ...needed(NOW - HOUR),
    says: [`keep: needed until recently, eligible at ${time(NOW + HOUR)}`],
  },
  { product: 'young', ...WAITING, says: [`keep: changed recently, eligible at ${time(NOW + HOUR)}`] },
  { product: 'new', hasRecord: false, says: [`keep: needed until recently, eligible at ${time(NOW + 2 * HOUR)}`] },
  {
    product: 'garbage',
    ...WAITING,
    says: ['keep: not everything could be seen (volume uvtool/BROKEN)'],
  },
  { product: 'broken', ...WAITING, says: ['would delete'] },
  {
    product: 'failed',
    status: 'killed',
    says: ['keep: not everything could be seen (volume uvtool/BROKEN)'],
  },
];

function provenance(source: string | undefined): ImageRecord['provenance'] {
  const digest = { algorithm: 'md5', hex: '0'.repeat(32) } as const;
  return { source, itemPath: undefined, sizeBytes: undefined, digest, signer: undefined, broughtBy: 'test' };
}

const identityOf = ({ product, version = '1' }: Kept): Identity => ({ product, version });
const nameOf = (product: string): string => encodeMetadataName({ product, version: '1' });

describe('gc --dry-run on a pool with every kind of keeper', () => {
  let world: World;
  let stage: Stage;
  let paths: PoolStatePaths;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const [first] = await openStages(world, 1);
    if (first === undefined) throw new Error('there is no stage');
    stage = first;
    const uuid = (await world.libvirtd.virsh('pool-uuid', 'uvtool')).trim();
    const stateDir = join(world.root, 'state');
    paths = poolStatePaths({ stateDir, pool: { name: 'uvtool', uuid }, metadataDir: world.metadata });
    for (const dir of [paths.records, paths.leases, paths.sources]) await mkdir(dir, { recursive: true, mode: 0o750 });
    for (const kept of KINDS) await place(kept);
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    await use();
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
  });
  after(() => world.stop());

  /** Puts an image into the pool, with what is written down about it. */
  async function place(kept: Kept): Promise<void> {
    const { hasRecord = true, isOffered = false, product, version: _, says: __, ...change } = kept;
    const identity = identityOf(kept);
    const volumeName = encodeMetadataName(identity);
    const path = await stage.image(join(world.poolPath, volumeName));
    const modifiedAt = product === 'young' ? NOW - HOUR : LONG_AGO;
    await utimes(path, modifiedAt / 1000, modifiedAt / 1000);
    if (isOffered) await writeMetadataFile(paths.metadata, identity, { product_name: product });
    if (!hasRecord) return;
    await writeRecord(paths.records, {
      volumeName,
      identity,
      status: 'active',
      reason: undefined,
      provenance: provenance(undefined),
      tags: {},
      times: { createdAt: 0, statusSince: LONG_AGO, lastNeededAt: LONG_AGO },
      ...change,
    });
  }

  /** Takes images into use, each in its way. */
  async function use(): Promise<void> {
    for (const name of ['running', 'defined', 'waiting-for-user', 'wanted-again'])
      await world.define(name, { pool: 'uvtool', volume: nameOf(name) });
    await world.libvirtd.virsh('start', '--paused', 'running');
    await stage.define({ devices: fileDisk(join(world.poolPath, nameOf('snapshot'))) });
    await stage.virsh(`snapshot-create-as ${stage.domain()} monday`);
    await stage.define();
    await stage.overlay(join(world.poolPath, 'disk.qcow2'), nameOf('overlaid'));
    await writeFile(
      join(world.poolPath, nameOf('broken')),
      Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x02', 'latin1'), Buffer.alloc(600)]),
    );
    await utimes(join(world.poolPath, nameOf('broken')), LONG_AGO / 1000, LONG_AGO / 1000);
    await writeSourceMemory(paths.sources, {
      url: SOURCE,
      documents: {},
      products: ['other'],
      listed: ['other', 'new'],
      acceptedAtMs: 0,
    });
    await liveSince(join(world.root, 'state'), LONG_AGO - 90 * DAY, NOW);
    const { host, bootId, uptime } = await readHostMoment(NOW);
    const process = { pid: 1, processStart: 1, host, bootId };
    const span = { createdAt: NOW, expiresAt: NOW + HOUR, createdAtUptime: uptime };
    const lease = { id: '3f2a9c01', volumeName: nameOf('leased'), command: 'sleep', ...process, ...span };
    await writeLease(paths.leases, lease, { host, bootId, uptime, now: NOW });
  }

  /** Runs the dry run in this process, with the clock standing still. */
  async function dryRun(json: boolean): Promise<string> {
    const { context, options, written } = inProcess(world, () => NOW);
    const policy = { keepVersions: 2, grace: '2h', minAge: '2h', unusedFor: '60d', maxSize: undefined } as const;
    const rest = { gone: 'keep', allowMassRemoval: false, metricsFile: undefined, out: undefined } as const;
    const own = { ...policy, ...rest, dryRun: true, yes: false, json, verbose: true };
    const holder = await open(join(world.poolPath, nameOf('open')));
    try {
      // The holder is this very process, which does not count as poolkeeper for once.
      const run = async () => gcCommand({ ...context, pid: 1 }).handler({ ...options, ...own, _: [], $0: '' });
      // The real run would say that the broken image keeps it from deleting what that may stand on.
      expect(await rejection(run())).to.be.instanceOf(IncompleteViewError);
    } finally {
      await holder.close();
    }
    expect(written.stderr).to.equal('');
    return written.stdout;
  }

  it('gives each image its verdict, its reason, and the moment when it becomes eligible', async () => {
    const lines = (await dryRun(false))
      .trimEnd()
      .split('\n')
      .map((line) =>
        line
          .replaceAll(`process ${process.pid} `, 'process PID ')
          .replaceAll(nameOf('broken'), 'BROKEN')
          .replaceAll(/ \([\d.]+ \w+\)$/g, ''),
      );
    const expected = KINDS.flatMap((kept) =>
      kept.says.map((text) => text.replace(/^(keep|would \w+)/, `$1 image ${identityText(identityOf(kept))}`)),
    );
    const others = lines.filter((line) => !line.includes(' image '));
    expect(lines.filter((line) => line.includes(' image ')).toSorted()).to.deep.equal(expected.toSorted());
    expect(others[0]).to.equal("leave volume 'disk.qcow2' alone: not managed");
    expect(others[1]).to.match(/^would free [\d.]+ KiB; images held [\d.]+ MiB before, [\d.]+ MiB after$/);
    expect(others).to.have.lengthOf(2);
  });

  it('says the same in JSON', async () => {
    const text = (await dryRun(false)).split('\n').flatMap(factOfLine);
    const json = jsonLines(await dryRun(true)).flatMap(factOfJson);
    expect(json.toSorted()).to.deep.equal(text.toSorted());
  });

  it('changes nothing', async () => {
    const tree = await world.tree();
    await dryRun(false);
    expect(await world.tree()).to.deep.equal(tree);
  });

  /** `VERB PRODUCT VERSION TIME`. */
  function factOfLine(line: string): readonly string[] {
    const [, verb, image] = /^(keep|would \w+) image (\S+ \S+?)(?:: .*| \(.*\))$/.exec(line) ?? [];
    const [, at = ''] = / eligible at (\S+)$/.exec(line) ?? [];
    return image === undefined ? [] : [`${verb} ${image} ${at}`];
  }

  const VERBS: Readonly<Record<string, string>> = {
    'retention retain': 'keep',
    'retention candidate': 'would retire',
    'verdict keep': 'keep',
    'verdict delete': 'would delete',
  };

  function factOfJson(fields: Readonly<Record<string, unknown>>): readonly string[] {
    const { message_type: type, action, product, version, volume, eligible_at: at = '' } = fields;
    const kept = KINDS.find((kind) => encodeMetadataName(identityOf(kind)) === volume);
    const identity = kept === undefined ? { product, version } : identityOf(kept);
    const verb = type === 'rescue' ? 'would rescue' : VERBS[`${String(type)} ${String(action)}`];
    // What would be retired says in the line about its deletion when that would be.
    const moment = verb === 'would retire' ? '' : String(at);
    return verb === undefined ? [] : [`${verb} ${String(identity.product)} ${String(identity.version)} ${moment}`];
  }
});
