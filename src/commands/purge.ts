import type { Argv } from 'yargs';
import { identityText } from '../core/identity.ts';
import { isLocalImage } from '../core/local-image.ts';
import type { SweepOutcome, Verdict } from '../core/sweep-plan.ts';
import { FailureError, InUseError, PartialError } from '../errors.ts';
import { recordDeletion } from '../execute/record-deletion.ts';
import { recordVerdicts } from '../execute/record-verdicts.ts';
import { executeSweep } from '../execute/sweep.ts';
import { withdrawImage } from '../execute/withdraw-image.ts';
import { forceDeletions, type Judgement, judgeSight, seePool } from '../gather/judge-pool.ts';
import type { PoolView } from '../gather/pool-view.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { confirm } from '../report/prompt.ts';
import type { Reporter } from '../report/reporter.ts';
import { heldBack, incompleteView, reasonText, showSwept, showVerdicts, volumeText } from '../report/sweep-report.ts';
import { removeMetadataFile } from '../state/metadata-files.ts';
import { readRecords } from '../state/records.ts';
import type { CommandContext } from './context.ts';
import { foreignMetadata, showForeignMetadata } from './foreign-metadata.ts';
import { changeOptions, type PoolArguments, poolOptions, type Verb } from './options.ts';
import { repairState } from './repair-state.ts';
import { type LockedSession, refreshToLook, type Session, withLock, withSession } from './session.ts';

interface PurgeArguments extends PoolArguments {
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly forceInUse: boolean;
}

/** `purge`: withdraws every image and deletes those that nothing needs. */
export function purgeCommand(context: CommandContext): Verb<PurgeArguments> {
  return {
    builder: (yargs) => purgeOptions(yargs) as Argv<PurgeArguments>,
    handler: (options) => runPurge(context, options),
  };
}

function purgeOptions(yargs: Argv): Argv {
  return changeOptions(poolOptions(yargs)).option('force-in-use', {
    type: 'boolean',
    default: false,
    describe: 'also delete images that domains need: THEY WILL NOT START AGAIN',
  });
}

async function runPurge(context: CommandContext, options: PurgeArguments): Promise<void> {
  await withSession(context, options, async (session, fetcher) => {
    if (options.dryRun) {
      await refreshToLook(session);
      const { judgement, doomed } = await judge(session, options);
      warnOfForce(judgement, doomed, session.reporter);
      showVerdicts(doomed, session.reporter, true);
      return assertComplete(doomed, options, []);
    }
    await withLock(session, { command: 'purge', fetcher }, (locked) => purge(locked, options));
  });
}

/**
 * Crash order: metadata first; if interrupted, it looks as if there were images waiting to be deleted, which they are. Those
 * in use may be rescued then, and are purged by the next try.
 */
async function purge(session: LockedSession, options: PurgeArguments): Promise<void> {
  await refreshPool(session.connection, session.pool.name);
  await repairState(session);
  const { environment, reporter } = session;
  const { judgement, doomed: all } = await judge(session, options);
  warnOfForce(judgement, all, reporter);
  const doomed = all.filter(({ action }) => action === 'delete');
  if (!(await isConfirmed(session, options, doomed.length))) throw new FailureError('nothing was purged');
  const { managed, metadata, records } = judgement.view;
  for (const [volumeName, { identity }] of managed) {
    if (isSpared(volumeName, judgement.view)) continue;
    await withdrawImage({ identity, volumeName, record: records.get(volumeName) }, environment);
  }
  showSpared([...managed.keys()].filter((name) => isSpared(name, judgement.view)).length, reporter);
  const held = new Set([...managed.values()].map(({ identity }) => identityText(identity)));
  for (const [image, { identity }] of metadata) {
    if (held.has(image)) continue;
    const reason = await foreignMetadata(session, judgement.view, identity);
    if (reason === undefined) await removeMetadataFile(environment.paths.metadata, identity);
    else showForeignMetadata(identity, reason, session);
  }
  await rememberUsers(session, judgement);
  const outcomes = await executeSweep(doomed, {
    environment,
    folder: judgement.folder,
    isHere: judgement.isHere,
    rejudge: async (only) => (await judge(session, options, only)).doomed,
    afterDelete: ({ name }) => recordDeletion(name, judgement.view, environment),
  });
  for (const outcome of outcomes) showSwept(outcome, reporter, session.trashForMs);
  assertComplete(all, options, outcomes);
}

/** What is in use when it is withdrawn only waits for its last user: no later run is to take it for wanted again. */
async function rememberUsers({ environment, reporter }: LockedSession, { view, verdicts }: Judgement): Promise<void> {
  const { records } = await readRecords(environment.paths.records);
  const kept = verdicts.filter(({ action }) => action === 'keep');
  const unrecorded = await recordVerdicts({ view: { ...view, records }, verdicts: kept }, environment);
  if (unrecorded !== undefined) reporter.warning(unrecorded.message, unrecorded.hint);
}

function showSpared(count: number, reporter: Reporter): void {
  if (count === 0) return;
  const text = `left ${count} image(s) alone that no source has; 'poolkeeper delete' deletes one`;
  reporter.event('info', text, 'left_alone', { count });
}

/** What the deletion rule says, and what becomes of it by what the user overrides. */
interface PurgeJudgement {
  readonly judgement: Judgement;
  readonly doomed: readonly Verdict[];
}

/** Judges every managed image as if it were offered to nobody and had been unused for ever. */
async function judge(
  session: Session,
  { forceInUse }: PurgeArguments,
  only?: ReadonlySet<string>,
): Promise<PurgeJudgement> {
  const policy = { now: session.context.clock.now(), graceMs: 0, minAgeMs: 0 };
  const sight = await seePool(session);
  const common = [...sight.view.managed.keys()].filter((volumeName) => !isSpared(volumeName, sight.view));
  const retired = new Set(common);
  const judgement = judgeSight(sight, policy, { retired, only: only ?? retired });
  const { verdicts } = judgement;
  return { judgement, doomed: forceInUse ? forceDeletions(sight, verdicts) : verdicts };
}

/** Whether no source has what a volume holds, or nobody knows whose it is: only `delete` takes it away. */
function isSpared(volumeName: string, { managed, records, unclaimed }: PoolView): boolean {
  const identity = managed.get(volumeName)?.identity;
  const isOwn = identity !== undefined && isLocalImage(identity);
  return isOwn || records.get(volumeName)?.traits?.isPersistent === true || unclaimed.has(volumeName);
}

/** Before anything is asked or done, since what needs the images will not start again. */
function warnOfForce({ verdicts }: Judgement, doomed: readonly Verdict[], reporter: Reporter): void {
  const forced = new Set(doomed.flatMap(({ action, volume }) => (action === 'delete' ? [volume.name] : [])));
  for (const verdict of verdicts) {
    if (verdict.action === 'delete' || !forced.has(verdict.volume.name)) continue;
    reporter.warning(`${volumeText(verdict.volume)} is not spared by --force-in-use: ${reasonText(verdict.reason)}`);
  }
}

async function isConfirmed(
  { context, reporter, pool }: Session,
  { yes }: PurgeArguments,
  count: number,
): Promise<boolean> {
  if (yes) return true;
  if (!context.isInteractive) {
    throw new FailureError(`cannot ask whether to purge storage pool '${pool.name}'`, {
      hint: 'without a terminal, confirm with --yes',
    });
  }
  reporter.event(
    'change',
    `all images of pool '${pool.name}' leave the offer; ${count} of them are deleted`,
    'question',
    { count },
  );
  return confirm('Proceed', context, context.signal);
}

/**
 * @param verdicts after all that the user overrode.
 * @throws InUseError naming what stays because it is needed; IncompleteViewError; PartialError if a deletion failed.
 */
function assertComplete(
  verdicts: readonly Verdict[],
  { forceInUse }: PurgeArguments,
  outcomes: readonly SweepOutcome[],
): void {
  const failed = outcomes.filter(({ result }) => result === 'failed').length;
  if (failed > 0) throw new PartialError(`${failed} volume(s) could not be deleted`);
  const kept = verdicts.flatMap((verdict) => (verdict.action === 'keep' ? [verdict] : []));
  const needed = kept.filter(({ reason }) => reason.kind === 'needed');
  if (needed.length > 0) {
    const list = needed.map(({ volume, reason }) => `\n  ${volumeText(volume)}: ${reasonText(reason)}`).join('');
    throw new InUseError(`${needed.length} image(s) are in use and stay until nothing needs them:${list}`, {
      hint: forceInUse
        ? `no force overrides a lease or a lock; 'poolkeeper lease release' and 'poolkeeper unlock' end them`
        : `'poolkeeper why VOLUME' shows what needs one; --force-in-use deletes them all the same`,
    });
  }
  const unseen = incompleteView(kept) ?? heldBack(outcomes);
  if (unseen !== undefined) throw unseen;
}
