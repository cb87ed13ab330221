import { type BlindSpot, isHindrance } from '../core/reference.ts';
import { planSweep, type SweepPolicy, type Verdict } from '../core/sweep-plan.ts';
import type { FolderIdentity } from '../core/trash.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import type { PoolStatePaths } from '../state/paths.ts';
import { concerns, createResolver, reachedFrom } from '../core/use-graph.ts';
import { findSeen } from './pool-nodes.ts';
import { causesElsewhere } from './other-pools.ts';
import { gatherPoolView, type PoolView } from './pool-view.ts';
import { splitCandidates } from './sweep-candidates.ts';
import { gatherUseGraph, type GraphSight, type PlacedGraph } from './use-graph.ts';

/** The pool to judge, and how to see it. */
export interface PoolToJudge extends GraphSight {
  readonly pool: StoragePool;
  readonly paths: PoolStatePaths;
  /** Where the state of any pool of the host lies. */
  readonly pathsOf: (pool: StoragePool) => PoolStatePaths;
}

/** Everything that was seen of a pool at one moment. */
export interface PoolSight {
  readonly view: PoolView;
  readonly gathered: PlacedGraph;
  /** Why files stay that another pool shows as well, by node id. */
  readonly elsewhere: ReadonlyMap<string, string>;
}

/** What is to become of every managed volume that is not offered, with the view that the verdicts rest on. */
export interface Judgement {
  readonly view: PoolView;
  readonly verdicts: readonly Verdict[];
  /** Whether its files are proven to be files of this host. */
  readonly isHere: boolean;
  /** The pool's folder when it was looked at. */
  readonly folder?: FolderIdentity | undefined;
}

/** Which volumes a judgement is about. */
export interface Scope {
  /** Judge no other volumes than these; all others stay. Default: every managed volume that is not offered. */
  readonly only?: ReadonlySet<string>;
  /** Judge these as if nobody were offered them; with `even lasting` those too that nothing but their user makes garbage. */
  readonly retired?: ReadonlySet<string> | 'all' | 'even lasting';
  /** Judge by what can be seen from here, although the files are not those of this host: somebody named the volumes. */
  readonly isAlsoRemote?: boolean;
}

/** Looks at everything afresh and judges the pool's volumes by the deletion rule. */
export async function judgePool(target: PoolToJudge, policy: SweepPolicy, scope: Scope = {}): Promise<Judgement> {
  return judgeSight(await seePool(target), policy, scope);
}

/** Looks at everything afresh. */
export async function seePool(target: PoolToJudge): Promise<PoolSight> {
  const gathered = await gatherUseGraph({ ...target, judged: new Set([target.pool.name]) });
  const volumes = gathered.volumes.map(({ volume }) => volume).filter(({ pool }) => pool === target.pool.name);
  const view = await gatherPoolView(target.pool, volumes, target.paths);
  return { view, gathered, elsewhere: await causesElsewhere(target.pool, gathered, target.pathsOf) };
}

/** Judges the pool's volumes by the deletion rule, as they were seen. */
export function judgeSight(
  { view, gathered, elsewhere }: PoolSight,
  policy: SweepPolicy,
  scope: Scope = {},
): Judgement {
  const { only, retired = new Set<string>(), isAlsoRemote = false } = scope;
  const { candidates, causes } = splitCandidates(view, gathered, {
    firstSeenAt: policy.now,
    elsewhere,
    isRetired: (name) => (typeof retired === 'string' ? retired === 'all' || retired : retired.has(name)),
  });
  const judged = only === undefined ? candidates : candidates.filter(({ volume }) => only.has(volume.name));
  const { graph } = gathered;
  const blindSpots = isAlsoRemote ? graph.blindSpots.filter(({ kind }) => kind !== 'remote') : graph.blindSpots;
  return {
    view,
    verdicts: planSweep(judged, { ...graph, blindSpots }, policy, causes),
    folder: gathered.folders?.get(view.pool.name),
    isHere: gathered.places.pools.get(view.pool.name)?.is === 'here',
  };
}

/**
 * Verdicts under `--force-in-use`: neither need nor what could not be seen is a reason to keep a volume, but a lease, a lock, and what
 * speaks against deleting in this pool at all are.
 */
export function forceDeletions(sight: PoolSight, verdicts: readonly Verdict[]): readonly Verdict[] {
  const { graph, volumes } = sight.gathered;
  const resolver = createResolver(graph.nodes);
  const claimed = reachedFrom(
    graph.roots.flatMap((root) => (root.isClaim === true ? root.edges : [])),
    resolver,
  );
  return verdicts.map((verdict): Verdict => {
    if (verdict.action === 'delete') return verdict;
    const { volume, reason } = verdict;
    const node = findSeen(volumes, volume.pool, volume.name)?.node;
    const isForceable = reason.kind === 'needed' || reason.kind === 'unseen';
    if (!isForceable || node === undefined || claimed.has(node)) return verdict;
    const hindrances = hindrancesOf(sight, volume.name);
    if (hindrances.length > 0) return { action: 'keep', volume, reason: { kind: 'unseen', blindSpots: hindrances } };
    return { action: 'delete', volume, isForced: reason.kind === 'needed' };
  });
}

/** The managed volumes that something needs which is no image of the pool itself, by name, with what it is. */
export function volumesInUse(sight: PoolSight, now: number): ReadonlyMap<string, string> {
  const { verdicts } = judgeSight(sight, { now, graceMs: 0, minAgeMs: 0 }, { retired: 'even lasting' });
  return new Map(
    verdicts.flatMap((verdict) =>
      verdict.action === 'keep' && verdict.reason.kind === 'needed'
        ? [[verdict.volume.name, verdict.reason.need.cause]]
        : [],
    ),
  );
}

/** Finds the blind spots that forbid deleting a volume of the pool, whether or not something needs it, unreadable claims included. */
function hindrancesOf({ gathered, view }: PoolSight, volumeName: string): readonly BlindSpot[] {
  const node = findSeen(gathered.volumes, view.pool.name, volumeName)?.node;
  return gathered.graph.blindSpots.filter(
    (spot) => (isHindrance(spot) || spot.kind === 'claim') && (node === undefined || concerns(spot, node)),
  );
}
