import type { StoragePool } from '../libvirt/storage-pool.ts';
import type { PoolStatePaths } from '../state/paths.ts';
import { gatherPoolView } from './pool-view.ts';
import { causeToStay } from './sweep-candidates.ts';
import type { GatheredGraph } from './use-graph.ts';

/**
 * Why files of a pool stay that are volumes of another pool as well, by node id: of several pools on one directory, each
 * keeps house over what it brought, and its records say nothing of the others.
 */
export async function causesElsewhere(
  { name }: StoragePool,
  { volumes, pools }: GatheredGraph,
  pathsOf: (pool: StoragePool) => PoolStatePaths,
): Promise<ReadonlyMap<string, string>> {
  const own = new Set(volumes.flatMap(({ volume, node }) => (volume.pool === name ? [node.id] : [])));
  const shared = volumes.filter(({ volume, node }) => volume.pool !== name && own.has(node.id));
  const causes = new Map<string, string>();
  for (const pool of pools) {
    const here = shared.filter(({ volume }) => volume.pool === pool.name);
    if (here.length === 0) continue;
    const listed = here.map(({ volume }) => volume);
    // A volume of which that pool knows nothing is not one of its images: the record of the own pool decides.
    const view = { ...(await gatherPoolView(pool, listed, pathsOf(pool))), unclaimed: new Map<string, never>() };
    for (const { volume, node } of here) {
      const managed = view.managed.get(volume.name);
      const cause = managed && causeToStay(managed, view);
      if (cause !== undefined) causes.set(node.id, `${cause} in pool '${pool.name}'`);
    }
  }
  return causes;
}
