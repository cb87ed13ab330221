import { formatBytes } from './byte-size.ts';
import type { SyncStep } from './sync-plan.ts';

/** The room in a pool, in bytes. */
export interface Room {
  /** `undefined` when the pool does not tell. */
  readonly availableBytes: bigint | undefined;
  /** How much of it has to stay free. */
  readonly reserveBytes: bigint;
}

/**
 * Lets those images be fetched for which there is room, in the order of the plan. All of them may be on their way at the
 * same time, and none of them frees anything for another; what has arrived of an image already is not counted again.
 */
export function planRoom(steps: readonly SyncStep[], { availableBytes, reserveBytes }: Room): readonly SyncStep[] {
  if (availableBytes === undefined) return steps;
  let freeBytes = availableBytes > reserveBytes ? availableBytes - reserveBytes : 0n;
  return steps.map((step): SyncStep => {
    if (step.action !== 'fetch') return step;
    const { image, volumeName, partial } = step;
    const neededBytes = image.sizeBytes - (partial?.heldBytes ?? 0n);
    if (neededBytes > freeBytes) {
      const reason = `it needs ${formatBytes(neededBytes)}, and ${formatBytes(freeBytes)} are free for it`;
      return { action: 'skip', image, volumeName, reason, lacksRoom: true };
    }
    freeBytes -= neededBytes;
    return step;
  });
}
