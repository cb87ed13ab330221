import { settleForgotten } from '../app/forget.ts';
import { weeklyWord } from '../app/weekly-word.ts';
import { identityText } from '../core/identity.ts';
import { type HeldImage, isLoss, massRemoval } from '../core/mass-removal.ts';
import { type CollectionPolicy, type RetentionVerdict, selectCandidates } from '../core/retention.ts';
import type { SweepOutcome, Verdict } from '../core/sweep-plan.ts';
import { planRescues, type Rescue } from '../core/undo-plan.ts';
import { IncompleteViewError, NoSpaceError, PoolkeeperError } from '../errors.ts';
import { recordDeletion } from '../execute/record-deletion.ts';
import { recordRescues, recordUses, recordVerdicts } from '../execute/record-verdicts.ts';
import { executeSweep } from '../execute/sweep.ts';
import { withdrawImage } from '../execute/withdraw-image.ts';
import { type Judgement, judgePool, judgeSight, type PoolSight, seePool } from '../gather/judge-pool.ts';
import { type PoolView, withListed } from '../gather/pool-view.ts';
import { type IsGone, sourceOf, stockOf } from '../gather/stock.ts';
import { showRescue, showRetired } from '../report/retention-report.ts';
import { showRemembered } from '../report/forget-report.ts';
import { heldBack, incompleteView, knownIncompleteView, showSwept, warnOfUnseen } from '../report/sweep-report.ts';
import { readMoment } from '../state/lived-count.ts';
import { readRecords } from '../state/records.ts';
import type { TrashSettings } from './retention-options.ts';
import type { LockedSession, Session } from './session.ts';
import { emptyTrashByPolicy } from './trash.ts';

/** What a collection is about. */
export interface CollectionScope {
  readonly policy: CollectionPolicy;
  readonly isGone: IsGone;
  /** Products whose older versions are left alone, whatever the policy says, but for the pool's size. */
  readonly isSpared: (product: string) => boolean;
  /** Volumes that a dry run takes for withdrawn already. */
  readonly withdrawn: ReadonlySet<string>;
  /** Products that sources of this run list, where that has not been written down yet. */
  readonly listed?: ReadonlySet<string>;
}

/** What a collection is going to do, and why. Nothing has been changed yet. */
export interface Collection {
  /** What everything rests on. */
  readonly sight: PoolSight;
  readonly judgement: Judgement;
  readonly retention: readonly RetentionVerdict[];
  /** What retention takes out of use now. */
  readonly retired: readonly RetentionVerdict[];
  /** What waits for its deletion and is taken back, because something needs it again. */
  readonly rescued: readonly Rescue[];
}

/** How a sweep ended. */
export interface Swept {
  readonly outcomes: readonly SweepOutcome[];
  /** Why something that is garbage could not be deleted. */
  readonly refusal: PoolkeeperError | undefined;
  /** The volumes that were taken out of use. */
  readonly retired: readonly string[];
}

/** Looks at everything, lets retention select candidates, and judges them by the deletion rule. */
export async function planCollection(
  session: Session & Partial<LockedSession>,
  scope: CollectionScope,
): Promise<Collection> {
  const { graceMs, minAgeMs, retention: settings } = scope.policy;
  const moment = { ...(await readMoment(session.stateDir, session.context.clock)), graceMs, minAgeMs };
  const seen = await seePool(session);
  const sight = { ...seen, view: withListed(seen.view, scope.listed ?? new Set()) };
  if (session.environment !== undefined) await settle(session, sight);
  const retention = selectCandidates(stockOf(sight, moment.now, scope.isGone), settings, moment);
  const retired = retention.filter((verdict) => isRetirement(verdict, scope));
  const names = new Set([...scope.withdrawn, ...retired.map(({ image }) => image.volumeName)]);
  const judgement = judgeSight(sight, moment, { retired: names });
  const rescued = planRescues(judgement.verdicts, sight.view.records, {
    inUse: new Set(usedNames(retention)),
    runId: session.environment?.runId,
  });
  return { sight, judgement, retention, retired, rescued };
}

/** Says which names that were forgotten are waited for again. */
async function settle(session: Session, { gathered: { graph } }: PoolSight): Promise<void> {
  const { context, connection, stateDir, reporter } = session;
  const place = { stateDir, uri: connection.uri, uid: context.uid, signal: context.signal };
  try {
    const { absences = [], blindSpots } = graph;
    for (const each of await settleForgotten(place, { absences, blindSpots })) showRemembered(each, reporter);
  } catch (error) {
    if (!(error instanceof PoolkeeperError)) throw error;
    reporter.warning(error.message, error.hint);
  }
}

/**
 * Withdraws what retention selected and deletes what the deletion rule condemns; never more than was planned. Crash order:
 * what is withdrawn waits for deletion, and the next run finds it so.
 */
export async function collect(
  session: LockedSession,
  { sight, judgement, retention, retired, rescued }: Collection,
  options: Pick<CollectionScope, 'policy'> & { readonly trash: TrashSettings; readonly allowMassRemoval: boolean },
): Promise<Swept> {
  const { environment, reporter, trashForMs } = session;
  const { policy, trash, allowMassRemoval } = options;
  const { graceMs, minAgeMs } = policy;
  const { view, verdicts } = judgement;
  const names = new Set(retired.map(({ image }) => image.volumeName));
  const taken = new Set([...names, ...rescued.map(({ record }) => record.volumeName)]);
  const others = verdicts.filter(({ volume }) => !taken.has(volume.name));
  const unrecorded =
    (await recordRescues(rescued, environment, (rescue) => showRescue(rescue, false, reporter))) ??
    (await recordVerdicts({ view, verdicts: others }, environment)) ??
    (await recordUses(usedNames(retention), judgement, environment));
  if (unrecorded !== undefined) reporter.warning(unrecorded.message, unrecorded.hint);
  const mistake = allowMassRemoval ? undefined : tooMany(judgement, names);
  const guard = massError('nothing was deleted', mistake);
  if (guard !== undefined) return { outcomes: [], refusal: guard, retired: [] };
  const withdrawn = await withdrawAll(retired, view, session);
  const written = await readRecords(session.paths.records);
  const outcomes = await executeSweep(verdicts, {
    environment,
    folder: judgement.folder,
    isHere: judgement.isHere,
    rejudge: async (only) => {
      const moment = await readMoment(session.stateDir, session.context.clock);
      return (await judgePool(session, { graceMs, minAgeMs, ...moment }, { only })).verdicts;
    },
    afterDelete: async ({ name }) => recordDeletion(name, { ...view, ...written }, environment),
  });
  for (const outcome of outcomes) showSwept(outcome, reporter, trashForMs);
  const heldBytes = bytesAfter(retention, outcomes);
  await emptyTrashByPolicy(session, { ...trash, maxSizeBytes: policy.retention.policy.maxSizeBytes, heldBytes });
  const unseen = await tellUnseen(session, sight, verdicts);
  return { outcomes, refusal: unseen ?? heldBack(outcomes) ?? withdrawn.failure, retired: withdrawn.names };
}

/**
 * Tells what cannot be seen: at length when that changes, once a week, and to whoever sits at a terminal.
 *
 * @returns the refusal, if something was held back for it.
 */
async function tellUnseen(
  { context, paths, reporter }: LockedSession,
  { gathered: { graph } }: PoolSight,
  verdicts: readonly Verdict[],
): Promise<IncompleteViewError | undefined> {
  const { isInteractive } = context;
  const word = await weeklyWord(graph.blindSpots, { dir: paths.root, now: context.clock.now(), isInteractive });
  const refusal = word.isDue ? incompleteView(verdicts) : knownIncompleteView(verdicts, word.since);
  if (refusal === undefined && word.isDue) warnOfUnseen(graph.blindSpots, reporter);
  return refusal;
}

/** What the images of the pool take up once the sweep is over. */
function bytesAfter(retention: readonly RetentionVerdict[], outcomes: readonly SweepOutcome[]): bigint {
  const gone = new Set(outcomes.flatMap(({ result, volume }) => (result === 'deleted' ? [volume.name] : [])));
  let bytes = 0n;
  for (const { image } of retention) if (!gone.has(image.volumeName)) bytes += image.sizeBytes;
  return bytes;
}

/**
 * A full disk ends it, but must not keep anybody from making room: what is offered still is spared by the sweep's second
 * look, and the next run goes on.
 */
async function withdrawAll(
  retired: readonly RetentionVerdict[],
  view: PoolView,
  { environment, reporter }: LockedSession,
): Promise<{ readonly names: readonly string[]; readonly failure: NoSpaceError | undefined }> {
  const names: string[] = [];
  for (const verdict of retired) {
    const { volumeName, identity } = verdict.image;
    const item = view.metadata.get(identityText(identity))?.item;
    const record = view.records.get(volumeName);
    try {
      await withdrawImage({ identity, volumeName, record, ...(item !== undefined && { item }) }, environment);
    } catch (error) {
      if (error instanceof NoSpaceError) return { names, failure: error };
      throw error;
    }
    names.push(volumeName);
    showRetired(verdict, reporter);
  }
  return { names, failure: undefined };
}

function usedNames(retention: readonly RetentionVerdict[]): readonly string[] {
  return retention.flatMap(({ image }) => (image.isInUse ? [image.volumeName] : []));
}

/**
 * Why not all that is garbage would be deleted by a collection, or none of it, as the real run would say.
 *
 * @param arriving images that the real run would fetch and offer before.
 */
export function refusalOf(
  { judgement, retired }: Pick<Collection, 'judgement' | 'retired'>,
  { allowMassRemoval }: { readonly allowMassRemoval: boolean },
  arriving: readonly HeldImage[] = [],
): PoolkeeperError | undefined {
  const names = new Set(retired.map(({ image }) => image.volumeName));
  const mistake = allowMassRemoval ? undefined : tooMany(judgement, names, arriving);
  const isMistake = massError('nothing would be deleted', mistake);
  return isMistake ?? incompleteView(judgement.verdicts, 'would not delete');
}

/** The images that are to be deleted. */
export function doomedOf({ verdicts }: Judgement): readonly Verdict[] {
  return verdicts.filter(({ action }) => action === 'delete');
}

/** How many of the volumes that a run retired can still be taken back. */
export function countWaiting(retired: readonly string[], outcomes: readonly SweepOutcome[] = []): number {
  const deleted = outcomes.filter(({ result }) => result === 'deleted').map(({ volume }) => volume.name);
  return retired.filter((name) => !deleted.includes(name)).length;
}

const WAITING: readonly string[] = ['withdrawn', 'failed', 'unknown'];

function isRetirement({ image, action, reason }: RetentionVerdict, { isSpared }: CollectionScope): boolean {
  if (action !== 'candidate' || WAITING.includes(reason)) return false;
  return reason === 'gone' || reason === 'size' || !isSpared(image.identity.product);
}

/**
 * The guard against a mistake that would empty the pool, now or once the grace period is over. What never arrived, and what a
 * person named, is no mistake.
 */
function tooMany(
  { view, verdicts }: Judgement,
  retired: ReadonlySet<string>,
  arriving: readonly HeldImage[] = [],
): string | undefined {
  const condemned = verdicts.flatMap(({ action, volume }) => (action === 'delete' ? [volume.name] : []));
  const doomed = condemned.filter((name) => isLoss(view.records.get(name)));
  if (doomed.length + retired.size === 0) return undefined;
  return massRemoval([...heldImages(view), ...arriving], identitiesOf([...doomed, ...retired], view));
}

function massError(consequence: string, reason: string | undefined): IncompleteViewError | undefined {
  if (reason === undefined) return undefined;
  return new IncompleteViewError(`${consequence}: ${reason}`, {
    hint: 'look at it with --dry-run; if it is right, run once with --allow-mass-removal',
  });
}

function heldImages({ managed, records, metadata, unclaimed }: PoolView): readonly HeldImage[] {
  const counted = [...managed.values()].filter(
    ({ volume }) => isLoss(records.get(volume.name)) && !unclaimed.has(volume.name),
  );
  return counted.map(({ identity, volume }) => ({
    identity,
    source: sourceOf(identity, records.get(volume.name)),
    isOffered: metadata.has(identityText(identity)),
  }));
}

function identitiesOf(names: readonly string[], { managed }: PoolView): ReadonlySet<string> {
  return new Set(
    names.flatMap((name) => {
      const identity = managed.get(name)?.identity;
      return identity === undefined ? [] : [identityText(identity)];
    }),
  );
}
