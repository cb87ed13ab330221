import type { Argv } from 'yargs';
import { identityText } from '../core/identity.ts';
import type { ImageRecord } from '../core/record.ts';
import { isRestorable, lastRun, planUndo, type Restoration, restorableRecords } from '../core/undo-plan.ts';
import { FailureError, NoMatchError } from '../errors.ts';
import { restoreImage } from '../execute/restore-image.ts';
import type { CommandContext } from './context.ts';
import { findImage, type FoundImage } from './find-image.ts';
import { withImages } from './image-command.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { imageText, permit } from './permit.ts';
import type { LockedSession } from './session.ts';

interface UndoArguments extends PoolArguments {
  readonly image: readonly string[] | undefined;
}

/** As sessions name their runs. */
const RUN = /^\d{8}T\d{6}Z-[0-9a-f]{4}$/;

/** `undo [IMAGE|RUN]`: takes images back that wait for their deletion. */
export function undoCommand(context: CommandContext): Verb<UndoArguments> {
  return {
    builder: (yargs) => undoOptions(yargs) as unknown as Argv<UndoArguments>,
    handler: (options) =>
      withImages(context, options, 'undo', async (session, images) => {
        const records = chooseRecords(images, options.image ?? []);
        const held = images.filter(({ hasVolume }) => hasVolume);
        for (const restoration of planUndo(records, held)) await restore(session, restoration);
      }),
  };
}

function undoOptions<T>(yargs: Argv<T>) {
  return poolOptions(yargs).positional('image', {
    type: 'string',
    array: true,
    describe: 'VOLUME, PRODUCT VERSION, filters that match one image, or a run; default: the last run',
  });
}

/** The image that is named; else those that a run retired, by default the last one that can be undone. */
function chooseRecords(images: readonly FoundImage[], words: readonly string[]): readonly ImageRecord[] {
  const [first] = words;
  const isRun = first === undefined || (words.length === 1 && RUN.test(first));
  if (!isRun) return [recordOf(findImage(words, images))];
  const records = restorableRecords(images.filter(({ hasVolume }) => hasVolume));
  const run = first ?? lastRun(records);
  const chosen = run === undefined ? [] : records.filter(({ retiredBy }) => retiredBy === run);
  if (chosen.length > 0) return chosen;
  const which = first === undefined ? 'no image' : `no image of run ${first}`;
  throw new NoMatchError(`${which} waits for its deletion`, {
    hint: 'what was deleted comes back with the next sync, if its source still has it',
  });
}

function recordOf(image: FoundImage): ImageRecord {
  permit('undo', image);
  const { record } = image;
  if (record !== undefined && isRestorable(record)) return record;
  throw new FailureError(`cannot take ${imageText(image)} back: its content was never checked`, {
    hint: 'only what was once complete can be taken back',
  });
}

async function restore(session: LockedSession, restoration: Restoration): Promise<void> {
  const { environment, reporter } = session;
  await restoreImage(restoration, environment);
  const { isOffered, record } = restoration;
  const { identity, volumeName } = record;
  const text = `took image ${identityText(identity)} back${isOffered ? ' and offered it' : ''}`;
  reporter.event('change', text, 'restored', { ...identity, volume: volumeName, is_offered: isOffered });
}
