import type { Verdict } from '../core/sweep-plan.ts';
import type { Judgement } from '../gather/judge-pool.ts';
import { writeRecord } from '../state/records.ts';
import { type Environment, putRecord, unknownOrigin } from './environment.ts';

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
    } else if (isNeeded(verdict)) {
      await writeRecord(environment.paths.records, {
        ...record,
        times: { ...record.times, lastNeededAt: environment.clock.now() },
      });
    }
  }
}

function isNeeded(verdict: Verdict): boolean {
  return verdict.action === 'keep' && verdict.reason.kind === 'needed';
}
