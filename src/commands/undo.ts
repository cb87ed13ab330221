import type { Argv } from 'yargs';
import { identityText } from '../core/identity.ts';
import type { ImageRecord } from '../core/record.ts';
import { isRestorable, lastRun, planUndo, type Restoration, restorableRecords } from '../core/undo-plan.ts';
import { entryFile, type TrashEntry } from '../core/trash.ts';
import { FailureError, NoMatchError, PartialError } from '../errors.ts';
import { bringBack, isWorthReturning, readTrash, withBases } from '../app/trash.ts';
import { readRecords } from '../state/records.ts';
import { showReturned } from '../report/trash-report.ts';
import { restoreImage } from '../execute/restore-image.ts';
import type { CommandContext } from './context.ts';
import { findImage, type FoundImage, readImages } from './find-image.ts';
import { withImages } from './image-command.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { imageText, permit } from './permit.ts';
import type { LockedSession } from './session.ts';

interface UndoArguments extends PoolArguments {
  readonly image: readonly string[] | undefined;
}

/** As sessions name their runs. */
const RUN = /^\d{8}T\d{6}Z-[0-9a-f]{4}$/;

/** `undo [IMAGE|RUN]`: takes images back that wait for their deletion, or lie in the trash. */
export function undoCommand(context: CommandContext): Verb<UndoArguments> {
  return {
    builder: (yargs) => undoOptions(yargs) as unknown as Argv<UndoArguments>,
    handler: (options) =>
      withImages(context, options, 'undo', (session, images) => undo(session, images, options.image ?? [])),
  };
}

function undoOptions<T>(yargs: Argv<T>) {
  return poolOptions(yargs).positional('image', {
    type: 'string',
    array: true,
    describe: 'VOLUME, PRODUCT VERSION, filters that match one image, or a run; default: the last run',
  });
}

/** What is to be taken back. */
interface Choice {
  /** Images that still wait for their deletion. */
  readonly records: readonly ImageRecord[];
  readonly entries: readonly TrashEntry[];
}

/** Crash order: what lies in the trash comes back first, since what is offered then may be newer. */
async function undo(session: LockedSession, images: readonly FoundImage[], words: readonly string[]): Promise<void> {
  const { environment, paths, reporter } = session;
  const trash = await readTrash(environment, paths);
  const { records, entries } = await choose(session, { images, trash, words });
  const returned = await bringBack(await withBases(entries, trash), session, { mayOffer: true });
  showReturned(returned, 'undo', reporter);
  const held = (await readImages(session)).filter(({ hasVolume }) => hasVolume);
  for (const restoration of planUndo(records, held)) await restore(session, restoration);
  const left = returned.filter(({ result }) => result !== 'restored').length;
  if (left > 0) throw new PartialError(`${left} of ${returned.length} volume(s) stay in the trash`);
}

/** What is named; else what a run took out of use or deleted, by default the last one that can be undone. */
async function choose(
  session: LockedSession,
  all: {
    readonly images: readonly FoundImage[];
    readonly trash: readonly TrashEntry[];
    readonly words: readonly string[];
  },
): Promise<Choice> {
  const { images, trash, words } = all;
  const { records: known } = await readRecords(session.paths.records);
  const fit = trash.filter((entry) => isWorthReturning(entry, known, session.pool));
  const [first] = words;
  if (first !== undefined && (words.length > 1 || !RUN.test(first))) return chooseNamed(words, { images, trash, fit });
  const records = restorableRecords(images.filter(({ hasVolume }) => hasVolume));
  const run = first ?? lastOf(records, fit);
  const ofRun: Choice = {
    records: records.filter(({ retiredBy }) => retiredBy === run),
    entries: fit.filter((entry) => entry.run === run || entry.record?.retiredBy === run),
  };
  if (run !== undefined && ofRun.records.length + ofRun.entries.length > 0) return ofRun;
  const which = first === undefined ? 'no image' : `no image of run ${first}`;
  throw new NoMatchError(`${which} waits for its deletion or lies in the trash`, {
    hint: `'poolkeeper list --trash' shows what was deleted lately; all else comes back with the next sync, if its source still has it`,
  });
}

/** An image or a volume by its name, an entry by its own. What lies in the trash comes with all that went in the same run. */
function chooseNamed(
  words: readonly string[],
  {
    images,
    trash,
    fit,
  }: {
    readonly images: readonly FoundImage[];
    readonly trash: readonly TrashEntry[];
    readonly fit: readonly TrashEntry[];
  },
): Choice {
  const text = words.join(' ');
  const named = trash.findLast(({ id, volumeName }) => id === text || volumeName === text);
  const image =
    named === undefined || images.some(({ volumeName }) => volumeName === text) ? findImage(words, images) : undefined;
  const isHeld = image?.hasVolume === true && (named === undefined || saysVolume(image));
  if (image !== undefined && isHeld) return { records: [recordOf(image)], entries: [] };
  const entry = named ?? trash.findLast(({ volumeName }) => volumeName === image?.volumeName);
  if (entry === undefined && image !== undefined) return { records: [recordOf(image)], entries: [] };
  if (entry === undefined || !fit.includes(entry)) {
    throw new FailureError(`cannot take '${text}' back: its content was never checked`, {
      hint: entry === undefined ? 'only what was once complete can be taken back' : `its file is ${entryFile(entry)}`,
    });
  }
  return { records: [], entries: fit.filter(({ run }) => run === entry.run) };
}

/** Whether the volume of that name is the image that its record is about, and no other file. */
function saysVolume({ record }: FoundImage): boolean {
  return record !== undefined && record.status !== 'deleted';
}

/** The run that retired or deleted something last, of what can be taken back. */
function lastOf(records: readonly ImageRecord[], entries: readonly TrashEntry[]): string | undefined {
  const run = lastRun(records);
  const since = Math.max(
    0,
    ...records.filter(({ retiredBy }) => retiredBy === run).map(({ times }) => times.statusSince),
  );
  const entry = entries.toSorted((a, b) => b.trashedAt - a.trashedAt)[0];
  return entry !== undefined && (run === undefined || entry.trashedAt > since) ? entry.run : run;
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
