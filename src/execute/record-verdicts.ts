import type { ImageRecord } from '../core/record.ts';
import { isImpossibleTime, type Verdict } from '../core/sweep-plan.ts';
import type { Rescue } from '../core/undo-plan.ts';
import { NoSpaceError } from '../errors.ts';
import type { Judgement } from '../gather/judge-pool.ts';
import { writeRecord } from '../state/records.ts';
import { type Environment, putRecord, unknownOrigin } from './environment.ts';
import { restoreImage } from './restore-image.ts';

/** How exactly the last use of an image that is not to be deleted is known; noting it more often wears disks out. */
const USE_RESOLUTION_MS = 600_000;

/**
 * Writes down what a judgement found out: that a volume is needed, which starts its grace period anew, and that a volume
 * without a record exists, whose grace period begins now. So does that of a record from the future, which a wrong clock
 * wrote and which would never end.
 *
 * @returns why something could not be written: nothing that the judgement condemned rests on it, and a full disk must not
 * keep anybody from making room.
 */
export async function recordVerdicts(
  { view, verdicts }: Pick<Judgement, 'view' | 'verdicts'>,
  environment: Environment,
): Promise<NoSpaceError | undefined> {
  return unlessFull(async () => {
    for (const verdict of verdicts) await recordVerdict(verdict, view, environment);
  });
}

async function recordVerdict(verdict: Verdict, view: Judgement['view'], environment: Environment): Promise<void> {
  const volumeName = verdict.volume.name;
  const identity = view.managed.get(volumeName)?.identity;
  const record = view.records.get(volumeName);
  if (identity === undefined) return;
  if (record === undefined || record.status === 'deleted') {
    await putRecord(environment, record, {
      volumeName,
      identity,
      status: 'pending_delete',
      provenance: unknownOrigin('unknown'),
      tags: {},
    });
  } else if (isNeeded(verdict) || isFromFuture(record, environment.clock.now())) {
    await recordUse(record, environment);
  }
}

/**
 * Takes images back that something needs again; they are not offered. Crash order: one record each, so the next run takes
 * the rest back.
 *
 * @returns as `recordVerdicts`; what could not be written waits on, and nothing deletes it while it is needed.
 */
export async function recordRescues(
  rescues: readonly Rescue[],
  environment: Environment,
  onRescued: (rescue: Rescue) => void,
): Promise<NoSpaceError | undefined> {
  return unlessFull(async () => {
    for (const rescue of rescues) {
      await restoreImage({ record: rescue.record, isOffered: false }, environment);
      onRescued(rescue);
    }
  });
}

/**
 * Notes the use of active images that are needed now, so that it is known later which of them were used longest ago.
 *
 * @returns as `recordVerdicts`.
 */
export async function recordUses(
  names: Iterable<string>,
  { view: { records } }: Pick<Judgement, 'view'>,
  environment: Environment,
): Promise<NoSpaceError | undefined> {
  const now = environment.clock.now();
  return unlessFull(async () => {
    for (const name of names) {
      const record = records.get(name);
      const isDue = record?.status === 'active' && Math.abs(now - record.times.lastNeededAt) >= USE_RESOLUTION_MS;
      if (isDue) await recordUse(record, environment);
    }
  });
}

async function recordUse(record: ImageRecord, { clock, paths }: Environment): Promise<void> {
  const now = clock.now();
  const statusSince = Math.min(record.times.statusSince, now);
  await writeRecord(paths.records, { ...record, times: { ...record.times, statusSince, lastNeededAt: now } });
}

async function unlessFull(write: () => Promise<void>): Promise<NoSpaceError | undefined> {
  try {
    await write();
    return undefined;
  } catch (error) {
    if (error instanceof NoSpaceError) return error;
    throw error;
  }
}

function isNeeded(verdict: Verdict): boolean {
  return verdict.action === 'keep' && verdict.reason.kind === 'needed';
}

function isFromFuture({ times }: ImageRecord, now: number): boolean {
  return isImpossibleTime(times.lastNeededAt, now) || isImpossibleTime(times.statusSince, now);
}
