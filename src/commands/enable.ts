import { planUndo } from '../core/undo-plan.ts';
import { ensureRecord } from '../execute/ensure-record.ts';
import { restoreImage } from '../execute/restore-image.ts';
import { withdrawImage } from '../execute/withdraw-image.ts';
import type { Fields } from '../report/reporter.ts';
import type { CommandContext } from './context.ts';
import type { FoundImage } from './find-image.ts';
import { imageCommand } from './image-command.ts';
import type { ImageArguments, Verb } from './options.ts';
import { imageText, permit } from './permit.ts';
import type { LockedSession } from './session.ts';

/** `enable IMAGE`: puts a disabled image back into circulation. */
export function enableCommand(context: CommandContext): Verb<ImageArguments> {
  return imageCommand(context, 'enable', enable);
}

/** `disable IMAGE`: takes an image out of circulation and keeps it. */
export function disableCommand(context: CommandContext): Verb<ImageArguments> {
  return imageCommand(context, 'disable', disable);
}

async function enable(session: LockedSession, image: FoundImage, images: readonly FoundImage[]): Promise<void> {
  const { environment, reporter } = session;
  const permission = permit('enable', image);
  if (permission.kind === 'done') return say(session, image, { text: permission.why, type: 'enabled' });
  const record = await ensureRecord(image, environment);
  const held = images.filter(({ hasVolume }) => hasVolume);
  for (const restoration of planUndo([record], held)) {
    const { isOffered } = restoration;
    await restoreImage(restoration, environment);
    const consequence = isOffered ? ' and offered it' : '; it is not offered, since a newer version is there';
    reporter.event('change', `enabled ${imageText(image)}${consequence}`, 'enabled', fieldsOf(image, true, isOffered));
  }
}

async function disable(session: LockedSession, image: FoundImage): Promise<void> {
  const { environment, reporter } = session;
  const permission = permit('disable', image);
  if (permission.kind === 'done') return say(session, image, { text: permission.why, type: 'disabled' });
  const { volumeName, identity } = image;
  const record = await ensureRecord(image, environment);
  await withdrawImage({ identity, volumeName, record, keptAs: 'deactivated' }, environment);
  reporter.event('change', `disabled ${imageText(image)}`, 'disabled', fieldsOf(image, true, false));
}

/** That nothing had to be done. */
function say({ reporter }: LockedSession, image: FoundImage, { text, type }: { text: string; type: string }): void {
  const fields = fieldsOf(image, false, image.isOffered);
  reporter.event('info', `nothing to do for ${imageText(image)}: ${text}`, type, fields);
}

function fieldsOf({ identity, volumeName }: FoundImage, isChanged: boolean, isOffered: boolean): Fields {
  return { ...identity, volume: volumeName, is_changed: isChanged, is_offered: isOffered };
}
