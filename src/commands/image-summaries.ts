import type { ImageSummary } from '../core/image-summary.ts';
import { openNebulaState } from '../core/opennebula-state.ts';
import { isPinned } from '../core/record.ts';
import { isHindrance } from '../core/reference.ts';
import type { Task } from '../core/task.ts';
import { usersOf } from '../core/usage.ts';
import { concerns } from '../core/use-graph.ts';
import type { PoolSight } from '../gather/judge-pool.ts';
import type { FoundImage } from './find-image.ts';

/** What is known beside the images themselves. */
export interface SummaryFacts {
  readonly sight: PoolSight;
  readonly tasks: readonly Task[];
  readonly now: number;
}

/** Puts together what `list` and `show` tell of each image. */
export function summarizeImages(
  images: readonly FoundImage[],
  { sight: { gathered, view }, tasks, now }: SummaryFacts,
): readonly ImageSummary[] {
  const users = usersOf(gathered.graph);
  const seen = new Map(
    gathered.volumes.flatMap((each) => (each.volume.pool === view.pool.name ? [[each.volume.name, each]] : [])),
  );
  const sources = new Set(tasks.filter(isCloning).map(({ volumeName }) => volumeName));
  return images.map((image) => {
    const { volumeName, identity, record, status, isOffered } = image;
    const { volume, node } = seen.get(volumeName) ?? {};
    const used = node === undefined ? [] : (users.get(node.id) ?? []);
    return {
      volumeName,
      identity,
      record,
      status,
      openNebula: openNebulaState(status, { users: used.length, isBeingCloned: sources.has(volumeName) }),
      isOffered,
      isLocked: isPinned(record, now),
      users: used,
      isUseKnown:
        node === undefined || !gathered.graph.blindSpots.some((spot) => !isHindrance(spot) && concerns(spot, node)),
      sizeBytes: volume?.allocationBytes,
      capacityBytes: volume?.capacityBytes,
      createdAt: record?.times.createdAt ?? volume?.modifiedAtMs,
    };
  });
}

function isCloning({ kind, status }: Task): boolean {
  return kind === 'clone' && status === 'processing';
}
