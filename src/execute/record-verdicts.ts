import type { ImageRecord } from '../core/record.ts';
import type { Verdict } from '../core/sweep-plan.ts';
import type { Judgement } from '../gather/judge-pool.ts';
import { writeRecord } from '../state/records.ts';
import { type Environment, putRecord, unknownOrigin } from './environment.ts';

/** How exactly the last use of an image that is not to be deleted is known; noting it more often wears disks out. */
const USE_RESOLUTION_MS = 600_000;

/**
 * Writes down what a judgement found out: that a volume is needed, which starts its grace period anew, and that a volume
 * without a record exists, whose grace period begins now.
 */
export async function recordVerdicts({ view, verdicts }: Judgement, environment: Environment): Promise<void> {
  for (const verdict of verdicts) {
    const volumeName = verdict.volume.name;
    const identity = view.managed.get(volumeName)?.identity;
    const record = view.records.get(volumeName);
    if (identity === undefined) continue;
    if (record === undefined || record.status === 'deleted') {
      await putRecord(environment, record, {
        volumeName,
        identity,
        status: 'pending_delete',
        provenance: unknownOrigin('unknown'),
        tags: {},
      });
    } else if (isNeeded(verdict)) await recordUse(record, environment);
  }
}

/** Notes the use of active images that are needed now, so that it is known later which of them were used longest ago. */
export async function recordUses(
  names: Iterable<string>,
  { view: { records } }: Pick<Judgement, 'view'>,
  environment: Environment,
): Promise<void> {
  const now = environment.clock.now();
  for (const name of names) {
    const record = records.get(name);
    const isDue = record?.status === 'active' && Math.abs(now - record.times.lastNeededAt) >= USE_RESOLUTION_MS;
    if (isDue) await recordUse(record, environment);
  }
}

async function recordUse(record: ImageRecord, { clock, paths }: Environment): Promise<void> {
  await writeRecord(paths.records, { ...record, times: { ...record.times, lastNeededAt: clock.now() } });
}

function isNeeded(verdict: Verdict): boolean {
  return verdict.action === 'keep' && verdict.reason.kind === 'needed';
}
