import type { PoolView } from '../gather/pool-view.ts';
import { type Environment, putRecord } from './environment.ts';

/** Writes down that the volume of an image is gone; the record stays as history. */
export async function recordDeletion(volumeName: string, view: PoolView, environment: Environment): Promise<void> {
  const identity = view.managed.get(volumeName)?.identity;
  const record = view.records.get(volumeName);
  if (identity === undefined || record === undefined) return;
  const { provenance, tags } = record;
  await putRecord(environment, record, { volumeName, identity, status: 'deleted', provenance, tags });
}
