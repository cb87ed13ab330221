import { decodeVolumeName } from '../core/identity.ts';
import { isSameContent, type PoolVolume, type SweepOutcome, type Verdict } from '../core/sweep-plan.ts';
import { NoSpaceError, PoolkeeperError } from '../errors.ts';
import { isNoStorageVolume } from '../libvirt/error-codes.ts';
import { deleteVolume, lookupVolume } from '../libvirt/volume.ts';
import { removeTemporaryFiles } from '../state/atomic-file.ts';
import { withGate } from '../state/gate.ts';
import type { Environment } from './environment.ts';
import { runTask } from './run-task.ts';

/** What is needed to delete volumes. */
export interface Sweeper {
  readonly environment: Pick<Environment, 'connection' | 'journal' | 'paths' | 'signal' | 'clock' | 'pid'>;
  /** Judges these volumes afresh, by name, as if all others were to stay. */
  rejudge(only: ReadonlySet<string>): Promise<readonly Verdict[]>;
  /** Called after a volume is gone. */
  afterDelete(volume: PoolVolume): Promise<void>;
}

/**
 * Deletes volumes: the only place in the program that does. All of it happens inside the pool's gate, so that nobody can
 * take a lease between the second look and the deletions. The plan is checked against a fresh judgement, which may spare
 * volumes and never adds any; each volume's key, size and time are compared once more right before it goes. What fails
 * or changed is reported and does not stop the rest. But it stays, and so must what it stands on: the rest is then judged
 * once more.
 */
export async function executeSweep(planned: readonly Verdict[], sweeper: Sweeper): Promise<readonly SweepOutcome[]> {
  const doomed = planned.filter(isDeletion).map(({ volume }) => volume);
  if (doomed.length === 0) return [];
  const { paths, signal } = sweeper.environment;
  return withGate(paths.gate, 'exclusive', { signal }, async () => {
    await removeTemporaryFiles(paths.leases);
    return deleteAll(doomed, sweeper);
  });
}

async function deleteAll(doomed: readonly PoolVolume[], sweeper: Sweeper): Promise<readonly SweepOutcome[]> {
  const outcomes: SweepOutcome[] = [];
  let fresh: ReadonlyMap<string, PoolVolume> | undefined;
  for (const [index, volume] of doomed.entries()) {
    sweeper.environment.signal.throwIfAborted();
    fresh ??= await judgeAfresh(doomed.slice(index), sweeper);
    const now = fresh.get(volumeId(volume));
    const isSame = now !== undefined && isSameContent(volume, now);
    const outcome = isSame ? await deleteOne(volume, sweeper) : spared(volume, CHANGED);
    outcomes.push(outcome);
    if (now !== undefined && outcome.result !== 'deleted') fresh = undefined;
  }
  return outcomes;
}

const CHANGED = 'it changed or was taken into use meanwhile';

async function judgeAfresh(volumes: readonly PoolVolume[], sweeper: Sweeper): Promise<ReadonlyMap<string, PoolVolume>> {
  const verdicts = await sweeper.rejudge(new Set(volumes.map(({ name }) => name)));
  return new Map(verdicts.filter(isDeletion).map(({ volume }) => [volumeId(volume), volume]));
}

async function deleteOne(volume: PoolVolume, sweeper: Sweeper): Promise<SweepOutcome> {
  const { environment } = sweeper;
  const { connection, journal } = environment;
  const { name: volumeName, allocationBytes: totalBytes } = volume;
  const task = { kind: 'delete', volumeName, identity: decodeVolumeName(volumeName), totalBytes } as const;
  try {
    const now = await lookupVolume(connection, volume.pool, volume.name);
    if (!isSameContent(volume, now)) return spared(volume, CHANGED);
    const intent = await noteIntent(volume, journal);
    await runTask(environment, task, () => deleteVolume(connection, volume.pool, volume.name));
    return await writeDown(volume, intent, sweeper);
  } catch (error) {
    if (isNoStorageVolume(error)) return spared(volume, 'it is gone already');
    if (error instanceof PoolkeeperError) return { result: 'failed', volume, error };
    throw error;
  }
}

/**
 * A full disk must not keep anybody from making room. Without the note, a crash leaves a record that says of a volume
 * that it waits for deletion when it is gone; nothing rests on that.
 */
async function noteIntent({ name, key }: PoolVolume, journal: Environment['journal']): Promise<number | undefined> {
  try {
    return await journal.begin({ kind: 'delete', volumeName: name, volumeKey: key });
  } catch (error) {
    if (error instanceof NoSpaceError) return undefined;
    throw error;
  }
}

/** The volume is gone, whatever happens now. An intent that stays open makes the next run write it down. */
async function writeDown(volume: PoolVolume, intent: number | undefined, sweeper: Sweeper): Promise<SweepOutcome> {
  try {
    await sweeper.afterDelete(volume);
    if (intent !== undefined) await sweeper.environment.journal.done(intent);
    return { result: 'deleted', volume };
  } catch (error) {
    if (error instanceof PoolkeeperError) return { result: 'deleted', volume, unrecorded: error };
    throw error;
  }
}

function spared(volume: PoolVolume, reason: string): SweepOutcome {
  return { result: 'spared', volume, reason };
}

function isDeletion(verdict: Verdict): boolean {
  return verdict.action === 'delete';
}

function volumeId({ pool, name }: PoolVolume): string {
  return `${pool}/${name}`;
}
