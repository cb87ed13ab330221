import type { Identity } from '../core/identity.ts';
import { PoolkeeperError } from '../errors.ts';
import { recordDeletion } from '../execute/record-deletion.ts';
import { executeSweep } from '../execute/sweep.ts';
import { judgePool } from '../gather/judge-pool.ts';
import { volumeNameIn } from '../gather/pool-view.ts';
import { showSwept } from '../report/sweep-report.ts';
import type { SweepOutcome, Verdict } from '../core/sweep-plan.ts';
import { readRecords } from '../state/records.ts';
import type { LockedSession } from './session.ts';

/** What became of one volume that is to go at once, and why it stays if it does. */
export interface SweptVolume {
  readonly verdict: Verdict | undefined;
  readonly outcome: SweepOutcome | undefined;
}

/** Deletes one volume at once if nothing needs it, by the rule and the deleter of everything else. */
export async function sweepVolume(session: LockedSession, volumeName: string, isForever = false): Promise<SweptVolume> {
  const { environment, context } = session;
  const only = new Set([volumeName]);
  const judge = () => judgePool(session, { now: context.clock.now(), graceMs: 0, minAgeMs: 0 }, { only });
  const { verdicts, view, folder, isHere } = await judge();
  const [outcome] = await executeSweep(verdicts, {
    environment,
    folder,
    isHere,
    isForever,
    rejudge: async () => (await judge()).verdicts,
    afterDelete: ({ name }) => recordDeletion(name, view, environment),
  });
  return { verdict: verdicts[0], outcome };
}

/** Deletes what is left of a copy that is of no more use. If that fails, it stays as garbage like any other. */
export async function sweepCopy(session: LockedSession, volumeName: string): Promise<void> {
  if (session.context.signal.aborted) return;
  try {
    // Its content is elsewhere, or never was whole: nobody can want it back.
    const { outcome } = await sweepVolume(session, volumeName, true);
    if (outcome?.result === 'failed') showSwept(outcome, session.reporter, session.trashForMs);
  } catch (error) {
    if (!(error instanceof PoolkeeperError)) throw error;
    session.reporter.warning(`could not delete the temporary volume '${volumeName}': ${error.message}`, error.hint);
  }
}

/** Deletes the half copy that a failure left, and throws that on. */
export async function sweepFailed(session: LockedSession, identity: Identity, error: unknown): Promise<never> {
  const volumeName = volumeNameIn(session.pool)(identity);
  const { records } = await readRecords(session.paths.records);
  if (records.get(volumeName)?.status === 'killed') await sweepCopy(session, volumeName);
  throw error;
}
