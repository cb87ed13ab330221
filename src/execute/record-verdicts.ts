import type { ImageRecord } from '../core/record.ts';
import { isImpossibleTime, type Verdict } from '../core/sweep-plan.ts';
import { NoSpaceError } from '../errors.ts';
import type { Judgement } from '../gather/judge-pool.ts';
import { writeRecord } from '../state/records.ts';
import { type Environment, putRecord, unknownOrigin } from './environment.ts';

/**
 * Writes down what a judgement found out: that a volume is needed, which starts its grace period anew, and that a volume
 * without a record exists, whose grace period begins now. So does that of a record from the future, which a wrong clock
 * wrote and which would never end.
 *
 * @returns why something could not be written: nothing that the judgement condemned rests on it, and a full disk must not
 * keep anybody from making room.
 */
export async function recordVerdicts(
  { view, verdicts }: Judgement,
  environment: Environment,
): Promise<NoSpaceError | undefined> {
  try {
    for (const verdict of verdicts) await recordVerdict(verdict, view, environment);
    return undefined;
  } catch (error) {
    if (error instanceof NoSpaceError) return error;
    throw error;
  }
}

async function recordVerdict(verdict: Verdict, view: Judgement['view'], environment: Environment): Promise<void> {
  const volumeName = verdict.volume.name;
  const identity = view.managed.get(volumeName)?.identity;
  const record = view.records.get(volumeName);
  const now = environment.clock.now();
  if (identity === undefined) return;
  if (record === undefined || record.status === 'deleted') {
    await putRecord(environment, record, {
      volumeName,
      identity,
      status: 'pending_delete',
      provenance: unknownOrigin('unknown'),
      tags: {},
    });
  } else if (isNeeded(verdict) || isFromFuture(record, now)) {
    const statusSince = Math.min(record.times.statusSince, now);
    await writeRecord(environment.paths.records, {
      ...record,
      times: { ...record.times, statusSince, lastNeededAt: now },
    });
  }
}

function isNeeded(verdict: Verdict): boolean {
  return verdict.action === 'keep' && verdict.reason.kind === 'needed';
}

function isFromFuture({ times }: ImageRecord, now: number): boolean {
  return isImpossibleTime(times.lastNeededAt, now) || isImpossibleTime(times.statusSince, now);
}
