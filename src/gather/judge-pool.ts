import { planSweep, type SweepPolicy, type Verdict } from '../core/sweep-plan.ts';
import { isNoStorageVolume } from '../libvirt/error-codes.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import { lookupVolume } from '../libvirt/volume.ts';
import type { PoolStatePaths } from '../state/paths.ts';
import { gatherPoolView, type PoolView } from './pool-view.ts';
import { splitCandidates } from './sweep-candidates.ts';
import { gatherUseGraph, type GraphSight } from './use-graph.ts';

/** The pool to judge, and how to see it. */
export interface PoolToJudge extends GraphSight {
  readonly pool: StoragePool;
  readonly paths: PoolStatePaths;
}

/** What is to become of every managed volume that is not offered, with the view that the verdicts rest on. */
export interface Judgement {
  readonly view: PoolView;
  readonly verdicts: readonly Verdict[];
}

/**
 * Looks at everything afresh and judges the pool's volumes by the deletion rule.
 *
 * @param only judge no other volumes than those of these names; all others stay.
 */
export async function judgePool(
  target: PoolToJudge,
  policy: SweepPolicy,
  only?: ReadonlySet<string>,
): Promise<Judgement> {
  const gathered = await gatherUseGraph(target);
  const volumes = gathered.volumes.map(({ volume }) => volume).filter(({ pool }) => pool === target.pool.name);
  const view = await gatherPoolView(target.pool, volumes, target.paths);
  const { candidates, causes } = splitCandidates(view, gathered, policy.now);
  const judged = only === undefined ? candidates : candidates.filter(({ volume }) => only.has(volume.name));
  return { view, verdicts: planSweep(judged, gathered.graph, policy, causes) };
}

/** Whether a volume does not exist: only libvirt's own word for it counts, every other failure is one. */
export async function isVolumeAbsent(target: Pick<PoolToJudge, 'connection' | 'pool'>, name: string): Promise<boolean> {
  try {
    await lookupVolume(target.connection, target.pool.name, name);
    return false;
  } catch (error) {
    if (isNoStorageVolume(error)) return true;
    throw error;
  }
}
