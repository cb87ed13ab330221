import type { Clock, Fetcher } from '../core/ports.ts';
import type { ImageRecord } from '../core/record.ts';
import type { Connection } from '../libvirt/connection.ts';
import type { Journal } from '../state/journal.ts';
import type { PoolStatePaths } from '../state/paths.ts';
import { writeRecord } from '../state/records.ts';

/** What steps act on. It exists only while the pool's lock is held. */
export interface Environment {
  readonly connection: Connection;
  readonly poolName: string;
  readonly paths: PoolStatePaths;
  readonly journal: Journal;
  readonly fetcher: Fetcher;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The name and version of this program, for records. */
  readonly program: string;
}

/** Writes a record, keeping what is known of its beginning. */
export async function putRecord(
  environment: Environment,
  known: ImageRecord | undefined,
  change: Omit<ImageRecord, 'times' | 'reason'> & { readonly reason?: string | undefined },
): Promise<void> {
  const now = environment.clock.now();
  const isSame = known?.status === change.status;
  const times = {
    createdAt: known?.times.createdAt ?? now,
    statusSince: isSame ? known.times.statusSince : now,
    lastNeededAt: change.status === 'active' ? now : (known?.times.lastNeededAt ?? now),
  };
  await writeRecord(environment.paths.records, { ...change, reason: change.reason, times });
}

/** The provenance of an image of which only the volume is known. */
export function unknownOrigin(broughtBy: string): ImageRecord['provenance'] {
  return {
    source: undefined,
    itemPath: undefined,
    sizeBytes: undefined,
    digest: undefined,
    signer: undefined,
    broughtBy,
  };
}
