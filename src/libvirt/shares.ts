import type { Connection } from './connection.ts';
import type { Lane } from './lane.ts';

/** Below this many objects per lane, listing them once more on another lane costs more than it gains. */
const WORTH_A_LANE = 32;

/** Whether an object belongs to this share, by something that never changes about it. */
export type BelongsHere = (stableId: string) => boolean;

/**
 * Spreads work on `count` objects over the lanes. Objects cannot move between connections, so each share lists all of
 * them and takes those that belong to it: membership depends on the object alone, so that no object is missed or done
 * twice when the listings differ.
 */
export async function inShares<T>(
  connection: Connection,
  count: number,
  work: (lane: Lane, belongsHere: BelongsHere) => Promise<T>,
): Promise<T[]> {
  const shares = Math.max(1, Math.min(connection.laneLimit, Math.floor(count / WORTH_A_LANE)));
  const run = (share: number): Promise<T> =>
    connection.run((lane) => work(lane, (stableId) => hash(stableId) % shares === share));
  const settled = await Promise.allSettled(Array.from({ length: shares }, (_, share) => run(share)));
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** FNV-1a over UTF-16 units. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return value;
}
