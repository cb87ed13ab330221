import { compareIdentities } from '../core/identity.ts';
import { reasonToHold } from '../core/retention.ts';
import type { MeasuredImage } from '../core/space-usage.ts';
import type { PoolSight } from './judge-pool.ts';
import { stockOf } from './stock.ts';

/** The managed volumes of a pool, with what holds them whoever needs them. Policies, which may change, do not count. */
export function measuredImages(sight: PoolSight, now: number): readonly MeasuredImage[] {
  const { view, gathered, elsewhere } = sight;
  const stock = new Map(stockOf(sight, now, () => false).map((image) => [image.volumeName, image]));
  const images = gathered.volumes.flatMap(({ volume, node }): readonly MeasuredImage[] => {
    const { pool, name: volumeName, allocationBytes } = volume;
    const identity = pool === view.pool.name ? view.managed.get(volumeName)?.identity : undefined;
    if (identity === undefined) return [];
    const image = stock.get(volumeName);
    const held = image === undefined || elsewhere.has(node.id) ? 'unknown' : reasonToHold(image);
    return [{ node, identity, volumeName, allocationBytes, held }];
  });
  return images.toSorted((a, b) => compareIdentities(a.identity, b.identity));
}
