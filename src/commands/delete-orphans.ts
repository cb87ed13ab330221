import { massRemovals } from '../core/orphans.ts';
import type { PoolVolume, SweepOutcome, Verdict } from '../core/sweep-plan.ts';
import { IncompleteViewError, PartialError } from '../errors.ts';
import { recordDeletion } from '../execute/record-deletion.ts';
import { executeSweep } from '../execute/sweep.ts';
import type { Reporter } from '../report/reporter.ts';
import { heldBack, reasonText, showSwept, volumeText } from '../report/sweep-report.ts';
import type { CommandContext } from './context.ts';
import { type OrphanJudgement, type OrphanSearch, type PoolState, searchOrphans } from './judge-orphans.ts';
import { fetcherOf, type LockedSession, withLock } from './session.ts';

interface Deletion {
  readonly judgement: OrphanJudgement;
  /** What the user agreed to delete. */
  readonly chosen: readonly PoolVolume[];
  readonly search: OrphanSearch;
  readonly context: CommandContext;
  readonly reporter: Reporter;
  readonly allowMassRemoval: boolean;
  /** How long what is deleted stays in the trash. */
  readonly trashForMs: number;
}

/**
 * Deletes the chosen volumes, overlays before what they stand on, while the state of every pool concerned is locked. What
 * the user kept is a root: if a chosen volume is needed by it, it stays.
 *
 * @throws IncompleteViewError when it would be too many; PartialError when a deletion failed.
 */
export async function deleteOrphans(deletion: Deletion): Promise<void> {
  const { judgement, chosen, reporter } = deletion;
  const plan = judgement.rejudge(isAmong(chosen));
  for (const verdict of plan) if (verdict.action === 'keep') showKept(verdict, reporter);
  const doomed = plan.filter(({ action }) => action === 'delete');
  assertFew(doomed, deletion);
  const pools = new Set(doomed.map(({ volume }) => volume.pool));
  const states = [...judgement.states.values()].filter(({ pool }) => pools.has(pool.name));
  const outcomes = await withLocks(inUuidOrder(states), deletion, (sessions) => sweepAll(doomed, deletion, sessions));
  const failed = outcomes.filter(({ result }) => result === 'failed').length;
  if (failed > 0) throw new PartialError(`${failed} of ${doomed.length} volume(s) could not be deleted`);
  const refusal = heldBack(outcomes);
  if (refusal !== undefined) throw refusal;
}

function isAmong(volumes: readonly PoolVolume[]): (volume: PoolVolume) => boolean {
  const ids = new Set(volumes.map(({ pool, name }) => `${pool}/${name}`));
  return ({ pool, name }) => ids.has(`${pool}/${name}`);
}

function showKept({ volume, reason }: Extract<Verdict, { action: 'keep' }>, reporter: Reporter): void {
  const text = reasonText(reason);
  reporter.event('change', `keep ${volumeText(volume)}: ${text}`, 'verdict', {
    action: 'keep',
    pool: volume.pool,
    volume: volume.name,
    reason: text,
  });
}

function assertFew(doomed: readonly Verdict[], { judgement, allowMassRemoval }: Deletion): void {
  const pools = massRemovals(
    doomed.map(({ volume }) => volume),
    judgement.volumes,
  );
  if (pools.length === 0 || allowMassRemoval) return;
  const names = pools.map((pool) => `'${pool}'`).join(', ');
  throw new IncompleteViewError(`nothing was deleted: more than half of the volumes would go from pool ${names}`, {
    hint: 'if it is right, run once with --allow-mass-removal',
  });
}

/** The same order for everybody, so that two of us never wait for each other. */
function inUuidOrder(states: readonly PoolState[]): readonly PoolState[] {
  return states.toSorted((a, b) => (a.pool.uuid < b.pool.uuid ? -1 : 1));
}

/** Takes the lock of one pool after the other for the time of `use`. */
async function withLocks<T>(
  states: readonly PoolState[],
  deletion: Deletion,
  use: (sessions: readonly LockedSession[]) => Promise<T>,
): Promise<T> {
  const [first, ...others] = states;
  if (first === undefined) return use([]);
  const { search, context, reporter, trashForMs } = deletion;
  const fetcher = fetcherOf(context);
  try {
    return await withLock(
      { ...search, ...first, context, reporter, trashForMs },
      { command: 'orphans', fetcher },
      (session) => withLocks(others, deletion, (sessions) => use([session, ...sessions])),
    );
  } finally {
    await fetcher.close();
  }
}

/** In order, one pool at a time as far as the order allows: each has a journal of its own. */
async function sweepAll(
  doomed: readonly Verdict[],
  { judgement, search, reporter }: Deletion,
  sessions: readonly LockedSession[],
): Promise<readonly SweepOutcome[]> {
  const outcomes: SweepOutcome[] = [];
  for (const run of runsOfPool(doomed)) {
    const session = sessions.find(({ pool }) => pool.name === run[0]?.volume.pool);
    const view = session && judgement.states.get(session.pool.name)?.view;
    if (session === undefined || view === undefined) continue;
    const { environment } = session;
    const swept = await executeSweep(run, {
      environment,
      folder: judgement.folders.get(session.pool.name),
      isHere: judgement.isHere(session.pool.name),
      // What failed in another pool stays, and so does what it stands on.
      rejudge: async (only) =>
        (await searchOrphans(search)).rejudge(({ pool, name }) => pool === session.pool.name && only.has(name)),
      afterDelete: ({ name }) => recordDeletion(name, view, environment),
    });
    for (const outcome of swept) showSwept(outcome, reporter, session.trashForMs);
    outcomes.push(...swept);
  }
  return outcomes;
}

/** Parts a list where the pool changes. */
function runsOfPool(verdicts: readonly Verdict[]): readonly (readonly Verdict[])[] {
  const runs: Verdict[][] = [];
  for (const verdict of verdicts) {
    const last = runs.at(-1);
    if (last?.[0]?.volume.pool === verdict.volume.pool) last.push(verdict);
    else runs.push([verdict]);
  }
  return runs;
}
