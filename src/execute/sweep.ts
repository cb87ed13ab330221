import type { PoolVolume, SweepOutcome, Verdict } from '../core/sweep-plan.ts';
import { PoolkeeperError } from '../errors.ts';
import { isNoStorageVolume } from '../libvirt/error-codes.ts';
import { deleteVolume, lookupVolume } from '../libvirt/volume.ts';
import type { Environment } from './environment.ts';

/** What is needed to delete volumes. */
export interface Sweeper {
  readonly environment: Pick<Environment, 'connection' | 'journal' | 'signal'>;
  /** Judges everything afresh, just before the first volume goes. */
  rejudge(): Promise<readonly Verdict[]>;
  /** Called after a volume is gone. */
  afterDelete(volume: PoolVolume): Promise<void>;
}

/**
 * Deletes volumes: the only place in the program that does. The plan is checked against a fresh judgement, which may spare
 * volumes and never adds any; each volume's key, size and time are compared once more right before it goes. What fails
 * or changed is reported and does not stop the rest, except that nothing that a spared volume may need is deleted either:
 * the fresh judgement sees to that.
 */
export async function executeSweep(planned: readonly Verdict[], sweeper: Sweeper): Promise<readonly SweepOutcome[]> {
  const doomed = planned.filter(({ action }) => action === 'delete').map(({ volume }) => volume);
  if (doomed.length === 0) return [];
  const fresh = new Map((await sweeper.rejudge()).filter(isDeletion).map(({ volume }) => [volumeId(volume), volume]));
  const outcomes: SweepOutcome[] = [];
  for (const volume of doomed) {
    sweeper.environment.signal.throwIfAborted();
    const now = fresh.get(volumeId(volume));
    if (now === undefined || !isSameContent(volume, now)) {
      outcomes.push({ result: 'spared', volume, reason: 'it changed or was taken into use meanwhile' });
    } else outcomes.push(await deleteOne(volume, sweeper));
  }
  return outcomes;
}

async function deleteOne(volume: PoolVolume, sweeper: Sweeper): Promise<SweepOutcome> {
  const { connection, journal } = sweeper.environment;
  try {
    const now = await lookupVolume(connection, volume.pool, volume.name);
    if (!isSameContent(volume, now)) return { result: 'spared', volume, reason: 'it changed meanwhile' };
    const intent = await journal.begin({ kind: 'delete', volumeName: volume.name, volumeKey: volume.key });
    await deleteVolume(connection, volume.pool, volume.name);
    await sweeper.afterDelete(volume);
    await journal.done(intent);
    return { result: 'deleted', volume };
  } catch (error) {
    if (isNoStorageVolume(error)) return { result: 'spared', volume, reason: 'it is gone already' };
    if (error instanceof PoolkeeperError) return { result: 'failed', volume, error };
    throw error;
  }
}

function isDeletion(verdict: Verdict): boolean {
  return verdict.action === 'delete';
}

function volumeId({ pool, name }: PoolVolume): string {
  return `${pool}/${name}`;
}

/** Whether two looks at a volume saw the same bytes, as far as key, size and time can tell. */
function isSameContent(a: PoolVolume, b: PoolVolume): boolean {
  return (
    a.key === b.key &&
    a.capacityBytes === b.capacityBytes &&
    a.allocationBytes === b.allocationBytes &&
    a.modifiedAtMs === b.modifiedAtMs
  );
}
