import type { Argv } from 'yargs';
import { isLocalImage } from '../core/local-image.ts';
import type { BlindSpot } from '../core/reference.ts';
import { InUseError, PartialError } from '../errors.ts';
import { ensureRecord } from '../execute/ensure-record.ts';
import { putRecord } from '../execute/environment.ts';
import { giveUpImage } from '../execute/give-up-image.ts';
import { recordDeletion } from '../execute/record-deletion.ts';
import { executeSweep } from '../execute/sweep.ts';
import { withdrawImage } from '../execute/withdraw-image.ts';
import { type Judgement, judgePool } from '../gather/judge-pool.ts';
import { incompleteView, showSwept } from '../report/sweep-report.ts';
import { readRecords } from '../state/records.ts';
import type { CommandContext } from './context.ts';
import { findImages, type FoundImage } from './find-image.ts';
import { withImages } from './image-command.ts';
import { judgeDeletion, namedPolicy } from './judge-deletion.ts';
import { type ImageArguments, imageOptions, type Verb } from './options.ts';
import { imageText, permit } from './permit.ts';
import type { LockedSession } from './session.ts';

interface DeleteArguments extends ImageArguments {
  readonly now: boolean;
}

/** `delete IMAGE…`: takes images out of use, so that they are deleted after the grace period, or at once. */
export function deleteCommand(context: CommandContext): Verb<DeleteArguments> {
  return {
    builder: (yargs) => deleteOptions(yargs) as unknown as Argv<DeleteArguments>,
    handler: (options) =>
      withImages(context, options, 'delete', (session, images) =>
        deleteImages(session, findImages(options.image, images), options.now),
      ),
  };
}

function deleteOptions<T>(yargs: Argv<T>) {
  return imageOptions(yargs).option('now', {
    type: 'boolean',
    default: false,
    describe: 'delete at once instead of after the grace period; never what something needs',
  });
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

/** Whoever names an image takes it upon themselves what nobody can see from here. */
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

/** @throws PartialError when a deletion failed; InUseError when something was taken into use in the last moment. */
async function sweep(session: LockedSession, { verdicts, view }: Judgement): Promise<void> {
  const { environment, reporter, paths } = session;
  const written = await readRecords(paths.records);
  const outcomes = await executeSweep(verdicts, {
    environment,
    rejudge: async (only) =>
      (await judgePool(session, namedPolicy(session), { only, retired: only, isAlsoRemote: true })).verdicts,
    afterDelete: ({ name }) => recordDeletion(name, { ...view, ...written }, environment),
  });
  for (const outcome of outcomes) showSwept(outcome, reporter);
  const failed = outcomes.filter(({ result }) => result === 'failed').length;
  if (failed > 0) throw new PartialError(`${failed} of ${outcomes.length} image(s) could not be deleted`);
  const spared = outcomes.filter(({ result }) => result === 'spared').length;
  if (spared > 0) throw new InUseError(`${spared} image(s) stay: something changed meanwhile`);
}
