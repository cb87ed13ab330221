import type { Argv } from 'yargs';
import { isLocalImage } from '../core/local-image.ts';
import type { BlindSpot } from '../core/reference.ts';
import type { SweepOutcome } from '../core/sweep-plan.ts';
import type { TrashEntry } from '../core/trash.ts';
import { FailureError, IncompleteViewError, InUseError, PartialError, UsageError } from '../errors.ts';
import { ensureRecord } from '../execute/ensure-record.ts';
import { putRecord } from '../execute/environment.ts';
import { giveUpImage } from '../execute/give-up-image.ts';
import { recordDeletion } from '../execute/record-deletion.ts';
import { executeSweep } from '../execute/sweep.ts';
import { withdrawImage } from '../execute/withdraw-image.ts';
import { needsOf, readTrash, unlinkTrashed } from '../app/trash.ts';
import { forceDeletions, type Judgement, judgePool, judgeSight, seePool } from '../gather/judge-pool.ts';
import { ask, confirm } from '../report/prompt.ts';
import { showEmptied } from '../report/trash-report.ts';
import { heldBack, incompleteView, reasonText, showSwept, volumeText } from '../report/sweep-report.ts';
import { readRecords } from '../state/records.ts';
import type { CommandContext } from './context.ts';
import { findImages, type FoundImage, namesOf } from './find-image.ts';
import { withImages } from './image-command.ts';
import { judgeDeletion, namedPolicy } from './judge-deletion.ts';
import { type ImageArguments, imageOptions, type Verb } from './options.ts';
import { imageText, permit } from './permit.ts';
import type { LockedSession } from './session.ts';

interface DeleteArguments extends ImageArguments {
  readonly now: boolean;
  readonly forever: boolean;
  readonly forceInUse: boolean;
  readonly yes: boolean;
  readonly name: string | undefined;
}

/** `delete IMAGE…`: takes images out of use, so that they are deleted after the grace period, or at once. */
export function deleteCommand(context: CommandContext): Verb<DeleteArguments> {
  return {
    builder: (yargs) => deleteOptions(yargs) as unknown as Argv<DeleteArguments>,
    handler: (options) =>
      withImages(context, checked(options), 'delete', (session, images) =>
        options.forever
          ? deleteForever(session, findImages(options.image, images), options)
          : deleteImages(session, findImages(options.image, images), options.now),
      ),
  };
}

function deleteOptions<T>(yargs: Argv<T>) {
  return imageOptions(yargs)
    .option('now', {
      type: 'boolean',
      default: false,
      describe: 'delete at once instead of after the grace period; never what something needs',
    })
    .option('forever', {
      type: 'boolean',
      default: false,
      describe: 'with --now: past the trash, so that nothing brings it back',
    })
    .option('force-in-use', {
      type: 'boolean',
      default: false,
      describe: 'with --forever: even what domains need, for a leaked secret: THEY WILL NOT START AGAIN',
    })
    .option('name', {
      type: 'string',
      requiresArg: true,
      describe: 'with --force-in-use: the name of the image once more, where nobody can be asked for it',
    })
    .option('yes', { alias: 'y', type: 'boolean', default: false, describe: 'with --forever: ask nothing' });
}

/** @throws UsageError for options that mean nothing without another. */
function checked(options: DeleteArguments): DeleteArguments {
  const { now, forever, forceInUse, name } = options;
  if (forever && !now) throw new UsageError('--forever needs --now');
  if (forceInUse && !forever) throw new UsageError('--force-in-use needs --now --forever');
  if (name !== undefined && !forceInUse) throw new UsageError('--name needs --force-in-use');
  return options;
}

/** Nothing is changed unless all of it may be. */
async function deleteImages(session: LockedSession, images: readonly FoundImage[], isNow: boolean): Promise<void> {
  for (const image of images) permit('delete', image);
  const judgement = await judgeDeletion(session, images, { isAlsoRemote: isNow });
  const unseen = incompleteView(judgement.verdicts);
  if (unseen !== undefined && isNow) throw unseen;
  if (isNow) warnOfDistance(session, judgement.gathered.graph.blindSpots);
  for (const image of images) await retire(session, image);
  if (isNow) return sweep(session, judgement);
  if (unseen !== undefined) session.reporter.warning(unseen.message, unseen.hint);
}

/** Warns of what nobody can see from here: whoever names an image answers for that. */
function warnOfDistance({ reporter }: LockedSession, blindSpots: readonly BlindSpot[]): void {
  for (const { kind, what, cause } of blindSpots) {
    if (kind === 'remote') reporter.warning(`cannot see ${what}: ${cause}`);
  }
}

/** Crash order: each image waits for its deletion, or is given up, before the next is looked at. */
async function retire(session: LockedSession, image: FoundImage): Promise<void> {
  const { environment, reporter } = session;
  const { volumeName, identity, hasVolume, status } = image;
  const permission = permit('delete', image);
  const record = await ensureRecord(image, environment);
  const fields = { ...identity, volume: volumeName };
  if (status === 'active' || status === 'deactivated') {
    await withdrawImage({ identity, volumeName, record, isNamed: true }, environment);
    const undo = `'poolkeeper undo ${environment.runId}' takes it back`;
    const text = `${imageText(image)} now waits for its deletion; ${undo}`;
    reporter.event('change', text, 'retired', { ...fields, run: environment.runId, is_local: isLocalImage(identity) });
  } else if (permission.kind === 'done' && hasVolume) {
    if (record.status === 'pending_delete') await putRecord(environment, record, { ...record, isNamed: true });
    reporter.event('info', `nothing to do for ${imageText(image)}: ${permission.why}`, 'retired', fields);
  } else {
    await giveUpImage(record, hasVolume, environment);
    reporter.event('change', `gave up ${imageText(image)}, which never arrived`, 'given_up', fields);
  }
}

/**
 * Deletes images past the trash, and what of them lies in it already. With `--force-in-use` those that something needs as well, never what is
 * leased or locked. Nothing is changed unless all of it may be.
 *
 * @throws InUseError, IncompleteViewError when something speaks against it; FailureError when nobody agrees.
 */
async function deleteForever(
  session: LockedSession,
  images: readonly FoundImage[],
  options: DeleteArguments,
): Promise<void> {
  const { environment, reporter, paths } = session;
  const names = new Set(images.map(({ volumeName }) => volumeName));
  const trashed = (await readTrash(environment, paths)).filter(({ volumeName }) => names.has(volumeName));
  const isTrashed = ({ volumeName }: FoundImage): boolean => trashed.some((entry) => entry.volumeName === volumeName);
  for (const image of images) if (image.hasVolume || !isTrashed(image)) permit('delete', image);
  const held = new Set(images.flatMap(({ hasVolume, volumeName }) => (hasVolume ? [volumeName] : [])));
  const judge = async (only: ReadonlySet<string>) => {
    const sight = await seePool(session);
    const judgement = judgeSight(sight, namedPolicy(session), { only, retired: only });
    return { judgement, doomed: options.forceInUse ? forceDeletions(sight, judgement.verdicts) : judgement.verdicts };
  };
  if (!options.forceInUse) {
    const judgement = await judgeDeletion(session, images);
    const unseen = incompleteView(judgement.verdicts);
    if (unseen !== undefined) throw unseen;
  }
  const { judgement, doomed } = await judge(held);
  const going = new Set(doomed.flatMap(({ action, volume }) => (action === 'delete' ? [volume.name] : [])));
  const staying = images.find(({ volumeName }) => held.has(volumeName) && !going.has(volumeName));
  if (staying !== undefined) {
    const verdict = doomed.find(({ volume }) => volume.name === staying.volumeName);
    const reason = verdict?.action === 'keep' ? reasonText(verdict.reason) : 'it cannot be judged';
    throw new InUseError(`cannot delete ${imageText(staying)}: ${reason}`, {
      hint: `no force overrides a lease or a lock; 'poolkeeper lease release' and 'poolkeeper unlock' end them`,
    });
  }
  for (const verdict of judgement.verdicts) {
    if (verdict.action === 'keep')
      reporter.warning(`${volumeText(verdict.volume)} is not spared by --force-in-use: ${reasonText(verdict.reason)}`);
  }
  await assertUnneededInTrash(trashed, session, options);
  await agreeForever(session, images, options);
  for (const image of images) if (image.hasVolume || !isTrashed(image)) await retire(session, image);
  const written = await readRecords(paths.records);
  const outcomes = await executeSweep(doomed, {
    environment,
    folder: judgement.folder,
    isHere: judgement.isHere,
    isForever: true,
    rejudge: async (only) => (await judge(only)).doomed,
    afterDelete: ({ name }) => recordDeletion(name, { ...judgement.view, ...written }, environment),
  });
  const emptied = await unlinkTrashed(trashed, session);
  showEmptied(emptied, reporter);
  showAll(outcomes, session);
  const failed = emptied.filter(({ result }) => result === 'failed').length;
  if (failed > 0) throw new PartialError(`${failed} of ${emptied.length} volume(s) could not be deleted`);
}

/** @throws InUseError, IncompleteViewError when something speaks against unlinking what lies in the trash. */
async function assertUnneededInTrash(
  trashed: readonly TrashEntry[],
  session: LockedSession,
  { forceInUse }: DeleteArguments,
): Promise<void> {
  for (const { entry, edge, isUnseen, isClaim } of await needsOf(trashed, session)) {
    const what = `volume '${entry.volumeName}' in the trash`;
    const why =
      edge === undefined
        ? isUnseen
          ? 'the kernel does not tell whether somebody has it open'
          : 'somebody has it open'
        : `${edge.document} names it at ${edge.reference.evidence}`;
    if (forceInUse && !isClaim) session.reporter.warning(`${what} is not spared by --force-in-use: ${why}`);
    else if (isUnseen) throw new IncompleteViewError(`cannot delete ${what}: ${why}`);
    else throw new InUseError(`cannot delete ${what}: ${why}`, { hint: `'poolkeeper undo' brings it back` });
  }
}

/** Asks for consent; where a need is overridden, by the image's name, which nobody types by mistake. @throws FailureError when nobody agrees. */
async function agreeForever(
  { context }: LockedSession,
  images: readonly FoundImage[],
  { forceInUse, yes, name }: DeleteArguments,
): Promise<void> {
  const [image] = images;
  const list = images.map(imageText).join(', ');
  if (!forceInUse) {
    if (yes) return;
    if (!context.isInteractive) {
      throw new FailureError(`cannot ask whether to delete ${list} for good`, {
        hint: 'without a terminal, confirm with --yes',
      });
    }
    if (!(await confirm(`Delete ${list} for good`, context, context.signal)))
      throw new FailureError('nothing was deleted');
    return;
  }
  if (image === undefined || images.length > 1) throw new UsageError('--force-in-use takes one image at a time');
  if (name === undefined && !context.isInteractive) {
    throw new FailureError(`cannot ask for the name of ${imageText(image)}`, {
      hint: 'without a terminal, give it once more with --name',
    });
  }
  const typed =
    name ?? (await ask(`Type the name of ${imageText(image)} to delete it for good: `, context, context.signal));
  if (!namesOf(image).includes(typed)) throw new FailureError('that is not the name of the image; nothing was deleted');
}

/** @throws PartialError when a deletion failed; InUseError when something was taken into use in the last moment. */
async function sweep(session: LockedSession, { verdicts, view, folder, isHere }: Judgement): Promise<void> {
  const { environment, paths } = session;
  const written = await readRecords(paths.records);
  const outcomes = await executeSweep(verdicts, {
    environment,
    folder,
    isHere,
    rejudge: async (only) =>
      (await judgePool(session, namedPolicy(session), { only, retired: only, isAlsoRemote: true })).verdicts,
    afterDelete: ({ name }) => recordDeletion(name, { ...view, ...written }, environment),
  });
  showAll(outcomes, session);
}

/** @throws PartialError, IncompleteViewError, InUseError for what was not deleted. */
function showAll(outcomes: readonly SweepOutcome[], { reporter, trashForMs }: LockedSession): void {
  for (const outcome of outcomes) showSwept(outcome, reporter, trashForMs);
  const failed = outcomes.filter(({ result }) => result === 'failed').length;
  if (failed > 0) throw new PartialError(`${failed} of ${outcomes.length} image(s) could not be deleted`);
  const unseen = heldBack(outcomes);
  if (unseen !== undefined) throw unseen;
  const spared = outcomes.filter(({ result }) => result === 'spared').length;
  if (spared > 0) throw new InUseError(`${spared} image(s) stay: something changed meanwhile`);
}
