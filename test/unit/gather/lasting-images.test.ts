import { expect } from 'chai';
import * as fc from 'fast-check';
import { encodeMetadataName } from '../../../src/core/identity.ts';
import type { ImageStatus } from '../../../src/core/lifecycle.ts';
import type { ImageRecord, ImageTraits } from '../../../src/core/record.ts';
import { judgeSight, type PoolSight } from '../../../src/gather/judge-pool.ts';
import type { PoolView } from '../../../src/gather/pool-view.ts';
import type { SeenVolume } from '../../../src/gather/pool-nodes.ts';
import type { StoragePool } from '../../../src/libvirt/storage-pool.ts';
import { candidate, domain, volume } from '../core/graph.ts';

const POOL: StoragePool = {
  name: 'pool',
  uuid: '',
  type: 'dir',
  isActive: true,
  targetPath: '/pool',
  sourceDevices: [],
  xml: '',
};
const NOTHING = { source: undefined, itemPath: undefined, sizeBytes: undefined, digest: undefined, signer: undefined };
const COUNT = 8;
const INDEX = fc.nat(COUNT - 1);
const IDENTITIES = Array.from({ length: COUNT }, (_, index) => ({ product: `local:image${index}`, version: '1' }));
const NAMES = IDENTITIES.map(encodeMetadataName);
const nameOf = (index: number): string => NAMES[index] ?? '';

interface ImagePlan {
  readonly status: ImageStatus;
  readonly role: 'plain' | 'persistent' | 'snapshot';
  /** What its header names, by index. */
  readonly bases: readonly number[];
}

const PLANS: fc.Arbitrary<readonly ImagePlan[]> = fc.array(
  fc.record({
    status: fc.constantFrom<ImageStatus>('active', 'active', 'deactivated', 'importing', 'pending_delete', 'killed'),
    role: fc.constantFrom<ImagePlan['role']>('plain', 'plain', 'persistent', 'snapshot'),
    bases: fc.array(INDEX, { maxLength: 2 }),
  }),
  { minLength: COUNT, maxLength: COUNT },
);

const GARBAGE: ReadonlySet<ImageStatus> = new Set<ImageStatus>(['pending_delete', 'killed']);

describe('the sweep of a pool with persistent images and snapshots', () => {
  it('takes none of them, and nothing that one of them stands on, whatever is withdrawn', () => {
    let deletions = 0;
    fc.assert(
      fc.property(PLANS, fc.subarray(NAMES), fc.boolean(), fc.array(INDEX), (plans, names, isAll, disks) => {
        const retired = isAll ? 'all' : new Set(names);
        const { verdicts } = judgeSight(sightOf(plans, disks), { now: 1, graceMs: 0, minAgeMs: 0 }, { retired });
        const doomed = new Set(verdicts.flatMap(({ action, volume: { name } }) => (action === 'delete' ? [name] : [])));
        deletions += doomed.size;
        const lasting = plans.flatMap(({ role, status }, index) =>
          role === 'plain' || GARBAGE.has(status) ? [] : [index],
        );
        for (const index of below(lasting, plans)) expect(doomed.has(nameOf(index)), nameOf(index)).to.equal(false);
      }),
    );
    expect(deletions).to.be.greaterThan(0);
  });
});

/** Images and all that they stand on. */
function below(indexes: readonly number[], plans: readonly ImagePlan[]): ReadonlySet<number> {
  const reached = new Set(indexes);
  for (const index of reached) for (const base of plans[index]?.bases ?? []) reached.add(base);
  return reached;
}

function sightOf(plans: readonly ImagePlan[], disks: readonly number[]): PoolSight {
  const nodes = plans.map(({ bases }, index) => volume(nameOf(index), bases.map(nameOf)));
  const volumes = nodes.map((node) => ({ node, volume: candidate(node).volume }) as unknown as SeenVolume);
  const graph = { nodes, roots: [domain('domain web1', ...disks.map(nameOf))], blindSpots: [] };
  const records = new Map(plans.map((plan, index) => [nameOf(index), recordOf(plan, index)]));
  const managed = new Map(
    IDENTITIES.map((identity, index) => [
      nameOf(index),
      { identity, volume: { name: nameOf(index), isNameExact: true } },
    ]),
  );
  const nothing = {
    foreign: [],
    unclaimed: new Map(),
    rewritten: new Set<string>(),
    metadata: new Map(),
    damaged: [],
    unknown: new Map(),
    undecodable: [],
  };
  const view: PoolView = { pool: POOL, managed, records, ...nothing };
  const gathered = { graph, unread: [], volumes, pools: [POOL], places: { isLocal: true, pools: new Map() } };
  return { view, gathered, elsewhere: new Map() };
}

function recordOf({ status, role }: ImagePlan, index: number): ImageRecord {
  const traits: ImageTraits = {
    type: 'os',
    isPersistent: role === 'persistent',
    ...(role === 'snapshot' && { snapshotOf: 'image' }),
  };
  return {
    volumeName: nameOf(index),
    identity: IDENTITIES[index] ?? { product: '', version: '' },
    status,
    reason: undefined,
    provenance: { ...NOTHING, broughtBy: 'poolkeeper' },
    tags: {},
    times: { createdAt: 0, statusSince: 0, lastNeededAt: 0 },
    traits,
  };
}
