import { IncompleteViewError, InUseError } from '../errors.ts';
import type { OpenAnswer } from '../util/kernel.ts';

/**
 * Makes of what the kernel says about an image that is to be overwritten in place a reason not to.
 *
 * @param label what the user calls the image.
 * @throws InUseError when somebody has it open; IncompleteViewError when the kernel does not tell.
 */
export function assertNotOpen(answer: OpenAnswer, label: string): void {
  if (answer.is === 'unknown') {
    throw new IncompleteViewError(
      `cannot change image ${label}: the kernel does not tell whether somebody has it open (${answer.code})`,
      { hint: 'run as root, on the host of the storage pool itself' },
    );
  }
  if (answer.is === 'held')
    throw new InUseError(`cannot change image ${label}: somebody has it open`, { hint: 'end that, then run again' });
}
