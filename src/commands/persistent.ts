import { traitsOf } from '../core/image-summary.ts';
import { isOfferable } from '../core/undo-plan.ts';
import { editImage } from '../execute/edit-image.ts';
import { ensureRecord } from '../execute/ensure-record.ts';
import { withdrawImage } from '../execute/withdraw-image.ts';
import type { CommandContext } from './context.ts';
import type { FoundImage } from './find-image.ts';
import { imageCommand } from './image-command.ts';
import type { ImageArguments, Verb } from './options.ts';
import { imageText, permit } from './permit.ts';
import { assertSeen, inUse, lookAtUse } from './image-use.ts';
import type { LockedSession } from './session.ts';

/** `persistent IMAGE`: hands an image to the one domain that uses it, which may write to it from now on. */
export function persistentCommand(context: CommandContext): Verb<ImageArguments> {
  return imageCommand(context, 'persistent', makePersistent);
}

/**
 * Crash order: what leaves the offer does so first; an image that is neither offered nor persistent is offered by the next
 * sync.
 */
async function makePersistent(session: LockedSession, image: FoundImage): Promise<void> {
  const permission = permit('persistent', image);
  if (permission.kind === 'done')
    return tell(session, image, { text: `nothing to do for ${imageText(image)}: ${permission.why}`, isChanged: false });
  const use = await lookAtUse(session, image);
  const { users, overlays } = use;
  assertSeen('persistent', image, use);
  if (overlays.length > 0) throw inUse('persistent', image, `other images stand on it: ${overlays.join(', ')}`);
  if (users.length > 1) throw inUse('persistent', image, `${users.length} use it: ${users.join(', ')}`);
  const { environment } = session;
  const { identity, volumeName, isOffered } = image;
  const record = await ensureRecord(image, environment);
  const traits = { ...traitsOf(record), isPersistent: true };
  const isLeaving = isOffered && !isOfferable({ identity, traits });
  if (isLeaving) await withdrawImage({ identity, volumeName, record, keptAs: 'active' }, environment);
  await editImage(record, { traits, isOffered: false }, environment);
  const consequence = isLeaving ? ', and no longer offered to new domains' : '';
  tell(session, image, { text: `${imageText(image)} is persistent now${consequence}`, isChanged: true });
}

function tell(
  { reporter }: LockedSession,
  { identity, volumeName }: FoundImage,
  { text, isChanged }: { readonly text: string; readonly isChanged: boolean },
): void {
  const fields = { ...identity, volume: volumeName, is_changed: isChanged };
  reporter.event(isChanged ? 'change' : 'info', text, 'persistent', fields);
}
