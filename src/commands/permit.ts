import { identityText } from '../core/identity.ts';
import {
  commandWords,
  type ImageCommand,
  type Permission,
  permissionFor,
  type Refusal,
} from '../core/image-commands.ts';
import { FailureError, InUseError, NoMatchError, type PoolkeeperError } from '../errors.ts';
import type { FoundImage } from './find-image.ts';

/** What an image is called in messages. */
export function imageText({ identity }: Pick<FoundImage, 'identity'>): string {
  return `image ${identityText(identity)}`;
}

/**
 * Makes sure that a command may be carried out on an image.
 *
 * @param isAny whether the user said `--any`.
 * @returns what it leads to, or that there is nothing to do.
 * @throws FailureError, InUseError or NoMatchError saying why not, and what would help.
 */
export function permit(command: ImageCommand, image: FoundImage, isAny = false): Exclude<Permission, Refusal> {
  const permission = permissionFor(command, {
    status: image.status,
    isOffered: image.isOffered,
    isPersistent: image.record?.traits?.isPersistent ?? false,
    snapshotOf: image.record?.traits?.snapshotOf,
  });
  if (permission.kind !== 'refused') return permission;
  if (isAny && permission.nature === '--any') return { kind: 'allowed' };
  throw refused(command, image, permission);
}

function refused(command: ImageCommand, image: FoundImage, { why, hint, nature }: Refusal): PoolkeeperError {
  const reason = image.status === 'killed' && image.record?.reason !== undefined ? ` (${image.record.reason})` : '';
  const message = `cannot ${commandWords(command, imageText(image))}: ${why}${reason}`;
  if (nature === 'in use') return new InUseError(message, { hint });
  if (nature === 'absent' || nature === '--any') return new NoMatchError(message, { hint });
  return new FailureError(message, { hint });
}
