import { identityText } from '../core/identity.ts';
import { type ImageStatus, wayTo } from '../core/lifecycle.ts';
import type { NewPermissions } from '../core/permissions.ts';
import type { Clock, Fetcher, Progress } from '../core/ports.ts';
import type { ImageRecord, RecordTimes } from '../core/record.ts';
import { IntegrityError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import type { Journal } from '../state/journal.ts';
import type { PoolStatePaths } from '../state/paths.ts';
import { writeRecord } from '../state/records.ts';

/** What steps act on. It exists only while the pool's lock is held. */
export interface Environment {
  readonly connection: Connection;
  readonly poolName: string;
  readonly pool: StoragePool;
  readonly paths: PoolStatePaths;
  readonly journal: Journal;
  readonly fetcher: Fetcher;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** What volumes are made with that keep no other volume's permissions; `undefined`: libvirt's defaults. */
  readonly permissions: NewPermissions | undefined;
  /** The name and version of this program, for records. */
  readonly program: string;
  /** The name of this run, for records of the images that it retires. */
  readonly runId: string;
  /** This process, for tasks. */
  readonly pid: number;
  /** The effective user of this process. */
  readonly uid: number;
}

/** What a change says of an image; the rest is carried over, traits too unless it gives them. */
export type RecordChange = Omit<ImageRecord, 'times' | 'reason' | 'pin' | 'retiredBy'> & {
  readonly reason?: string | undefined;
};

/**
 * Writes a record, keeping what is known of its beginning. Every status is reached by legal moves, and each of them is
 * written down.
 *
 * @returns the record as it stands now, for the next move.
 * @throws IntegrityError when no way leads from the status to the new one.
 */
export async function putRecord(
  environment: Pick<Environment, 'clock' | 'paths' | 'runId'>,
  known: ImageRecord | undefined,
  change: RecordChange,
): Promise<ImageRecord> {
  const way = wayTo(known?.status, change.status);
  if (way === undefined)
    throw new IntegrityError(`image ${identityText(change.identity)} cannot become ${change.status}`, {
      ...(known !== undefined && { found: known.status }),
      hint: `'poolkeeper why' shows its status`,
    });
  const { records } = environment.paths;
  let record = known;
  for (const status of way.slice(0, -1)) {
    record = moved(environment, record, { ...change, status, reason: undefined });
    await writeRecord(records, record);
  }
  const last = moved(environment, record, change);
  await writeRecord(records, last);
  return last;
}

function moved(
  { clock, runId }: Pick<Environment, 'clock' | 'runId'>,
  known: ImageRecord | undefined,
  change: RecordChange,
): ImageRecord {
  const { status, reason, traits = known?.traits } = change;
  const { pin, retiredBy = runId } = known ?? {};
  const { isNamed = known?.isNamed, judged, ...rest } = change;
  const verdict = judged === undefined ? {} : { judged };
  const record = { ...rest, ...verdict, reason, traits, times: timesOf(known, status, clock.now()), pin };
  return status === 'pending_delete' ? { ...record, retiredBy, ...(isNamed === true && { isNamed }) } : record;
}

function timesOf(known: ImageRecord | undefined, status: ImageStatus, now: number): RecordTimes {
  if (known === undefined) return { createdAt: now, statusSince: now, lastNeededAt: now };
  const { createdAt, statusSince, lastNeededAt } = known.times;
  const beginsAnew = known.status === 'deleted' && status !== 'deleted';
  return {
    createdAt: beginsAnew ? now : createdAt,
    statusSince: known.status === status ? statusSince : now,
    lastNeededAt: status === 'active' ? now : lastNeededAt,
  };
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
