import { type Identity, identityText } from './identity.ts';
import type { ImageStatus } from './lifecycle.ts';
import type { ImageRecord } from './record.ts';

/** A managed image, as far as the loss of it is concerned. */
export interface HeldImage {
  readonly identity: Identity;
  /** `undefined`: the source is not known, or a person brought it. */
  readonly source: string | undefined;
  readonly isOffered: boolean;
}

/** Statuses of an image that never arrived: it can be no loss. */
const NEVER_ARRIVED: ReadonlySet<ImageStatus> = new Set<ImageStatus>(['queued', 'saving', 'importing', 'killed']);

/** Whether an image counts when many are to go at once: it was complete once, and no person named it to be deleted. */
export function isLoss(record: Pick<ImageRecord, 'status' | 'isNamed'> | undefined): boolean {
  return record === undefined || (record.isNamed !== true && !NEVER_ARRIVED.has(record.status));
}

/**
 * Says why removing so many images at once looks like a mistake; `undefined` when it does not. Too many are more than half
 * of all, or everything that one source brought while nothing is offered of the same products any more. Images that are no
 * loss are among neither (`isLoss`).
 */
export function massRemoval(held: readonly HeldImage[], doomed: ReadonlySet<string>): string | undefined {
  if (doomed.size * 2 > held.length) return `it would delete ${doomed.size} of the ${held.length} images in the pool`;
  const isDoomed = ({ identity }: HeldImage): boolean => doomed.has(identityText(identity));
  const offeredProducts = new Set(held.filter(({ isOffered }) => isOffered).map(({ identity }) => identity.product));
  const survivingSources = new Set(held.filter((image) => !isDoomed(image)).map(({ source }) => source));
  const lost = held.filter((image) => isDoomed(image) && !offeredProducts.has(image.identity.product));
  const source = lost.map((image) => image.source).find((name) => name !== undefined && !survivingSources.has(name));
  return source === undefined ? undefined : `it would delete everything that ${source} offered`;
}
