import { join } from 'node:path';
import { InUseError } from '../errors.ts';
import { putRecord, unknownOrigin } from '../execute/environment.ts';
import { executeSweep } from '../execute/sweep.ts';
import { judgePool } from '../gather/judge-pool.ts';
import { gatherPoolView, volumeNameIn } from '../gather/pool-view.ts';
import { listVolumeNames } from '../libvirt/volume.ts';
import { setAside } from '../state/set-aside.ts';
import type { LockedSession } from './session.ts';
import { reasonText } from '../report/sweep-report.ts';

/**
 * Brings the state back in order before anything is planned. What an interrupted run began is either finished by the plan
 * of this run, which looks at what is really there, or undone; damaged files are set aside, and their images are kept as
 * active so that nothing is lost with them.
 */
export async function repairState(session: LockedSession): Promise<void> {
  const { environment, reporter, connection, pool, paths } = session;
  const volumes = await listVolumeNames(connection, pool.name);
  const view = await gatherPoolView(pool, volumes, paths);
  for (const { kind, name, identity, error } of view.damaged) {
    const dir = kind === 'record' ? paths.records : paths.metadata;
    const target = await setAside(join(dir, name), join(paths.root, 'set-aside'));
    reporter.warning(`${error.message}; it was set aside as ${target}`, error.hint);
    const volumeName = volumeNameIn(pool)(identity);
    if (!view.managed.has(volumeName) || view.records.has(volumeName)) continue;
    await putRecord(environment, undefined, {
      volumeName,
      identity,
      status: 'active',
      provenance: unknownOrigin('unknown'),
      tags: {},
    });
  }
  for (const { id, intent } of environment.journal.openIntents()) {
    reporter.event('detail', `an earlier run was interrupted during ${intent.kind}`, 'recovery', {
      intent: intent.kind,
    });
    await environment.journal.done(id);
  }
}

/**
 * Deletes the volume that an interrupted run left, through the one deleter and under the same rule as any other.
 *
 * @throws InUseError when something uses it.
 */
export async function removeUnfinished(session: LockedSession, volumeName: string): Promise<void> {
  const judge = async () => {
    const policy = { now: session.context.clock.now(), graceMs: 0, minAgeMs: 0 };
    return (await judgePool(session, policy, { only: new Set([volumeName]) })).verdicts;
  };
  const verdicts = await judge();
  const [verdict] = verdicts;
  if (verdict?.action === 'keep') {
    throw new InUseError(`cannot replace the unfinished volume '${volumeName}': ${reasonText(verdict.reason)}`, {
      hint: 'remove what uses it, then run again',
    });
  }
  const outcomes = await executeSweep(verdicts, {
    environment: session.environment,
    rejudge: judge,
    afterDelete: () => Promise.resolve(),
  });
  for (const outcome of outcomes) if (outcome.result === 'failed') throw outcome.error;
}
