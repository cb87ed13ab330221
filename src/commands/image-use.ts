import { commandWords, type ImageCommand } from '../core/image-commands.ts';
import type { BlindSpot } from '../core/reference.ts';
import { overlaysOn, usersOf } from '../core/usage.ts';
import { concerns } from '../core/use-graph.ts';
import { IncompleteViewError, InUseError } from '../errors.ts';
import { seePool } from '../gather/judge-pool.ts';
import { findSeen } from '../gather/pool-nodes.ts';
import type { FoundImage } from './find-image.ts';
import { imageText } from './permit.ts';
import type { Session } from './session.ts';

/** Who uses an image at this moment. */
export interface ImageUse {
  /** Everything that needs it, directly or through other images, by name. */
  readonly users: readonly string[];
  /** The images that stand on it. */
  readonly overlays: readonly string[];
  /** What could not be seen and might use it. */
  readonly blindSpots: readonly BlindSpot[];
}

/** Looks at everything and tells who uses an image. */
export async function lookAtUse(session: Session, { volumeName }: FoundImage): Promise<ImageUse> {
  const { gathered } = await seePool(session);
  const { graph, volumes } = gathered;
  const seen = findSeen(volumes, session.pool.name, volumeName);
  if (seen === undefined) return { users: [], overlays: [], blindSpots: graph.blindSpots };
  return {
    users: (usersOf(graph).get(seen.node.id) ?? []).map(({ label }) => label),
    overlays: overlaysOn(seen.node, graph).map(({ label }) => label),
    blindSpots: graph.blindSpots.filter((spot) => concerns(spot, seen.node)),
  };
}

/** @throws IncompleteViewError when something that was not seen might use the image. */
export function assertSeen(command: ImageCommand, image: FoundImage, { blindSpots }: ImageUse): void {
  if (blindSpots.length === 0) return;
  const list = blindSpots.map(({ what, cause, remedy }) => `\n  ${what}: ${cause}; ${remedy}`).join('');
  throw new IncompleteViewError(
    `cannot ${commandWords(command, imageText(image))}: not everything could be seen that may use it:${list}`,
    { hint: 'clear the cause of each, then run again' },
  );
}

/** The refusal of a command because of who uses the image. */
export function inUse(command: ImageCommand, image: FoundImage, why: string): InUseError {
  return new InUseError(`cannot ${commandWords(command, imageText(image))}: ${why}`, {
    hint: `'poolkeeper show' tells what needs it, with the evidence`,
  });
}
