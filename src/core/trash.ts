import type { ImageStatus } from './lifecycle.ts';
import type { Digest } from './record.ts';

/** Device and inode of a folder: tells, within one run, whether a path still leads to the folder that was looked at. */
export interface FolderIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** What the record of an image said when its volume was deleted. */
export interface TrashedRecord {
  readonly status: ImageStatus;
  readonly reason?: string | undefined;
  readonly retiredBy?: string | undefined;
  /** Checksum of the volume's content. */
  readonly digest?: Digest | undefined;
  /** Whether the content was known to be complete. */
  readonly isRestorable: boolean;
}

/** A deleted volume whose file still lies in the trash of its pool. */
export interface TrashEntry {
  /** Name of its folder in the trash: the run that deleted it and a counter, e.g. `20261120T211254Z-3f9c-1`. */
  readonly id: string;
  /** The run that deleted it. */
  readonly run: string;
  /** The folder in which the entries lie, with links resolved. */
  readonly place: string;
  readonly pool: string;
  readonly volumeName: string;
  /** The former path, as libvirt showed it. */
  readonly path: string;
  /** The former path with the links in its folder resolved. */
  readonly realPath: string;
  /** Milliseconds since the epoch. */
  readonly trashedAt: number;
  /** What the file takes up. */
  readonly sizeBytes: bigint;
  /** Something needed it and `--force-in-use` overrode that. No need brings it back by itself. */
  readonly wasNeeded: boolean;
  /** `undefined`: there was no record, or nothing is written down about the entry. */
  readonly record: TrashedRecord | undefined;
}

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const PREFIX = '.poolkeeper-trash-';
const FOLDER_NAME = new RegExp(`^\\${PREFIX}${UUID}$`);
const ENTRY_ID = /^(\d{8}T\d{6}Z-[0-9a-f]{4})-(\d{1,9})$/;

/** The name of the folder that holds the trash of a pool. */
export function trashFolderName(poolUuid: string): string {
  return PREFIX + poolUuid.toLowerCase();
}

/** Whether a name in a directory is that of a trash folder, of whichever pool. What lies in it needs nothing. */
export function isTrashFolder(name: string): boolean {
  return FOLDER_NAME.test(name);
}

/** The name of an entry's folder. */
export function entryId(run: string, counter: number): string {
  return `${run}-${counter}`;
}

/** The run and the counter of an entry by the name of its folder; `undefined` for a name that is none. */
export function parseEntryId(id: string): { readonly run: string; readonly counter: number } | undefined {
  const [, run, counter] = ENTRY_ID.exec(id) ?? [];
  return run === undefined ? undefined : { run, counter: Number(counter) };
}

/** The path of an entry's file. */
export function entryFile({ place, id, volumeName }: Pick<TrashEntry, 'place' | 'id' | 'volumeName'>): string {
  return `${place}/${id}/${volumeName}`;
}

/** How long the trash is kept, and what cuts that short. */
export interface TrashPolicy {
  readonly keepMs: number;
  /** The share of the file system that has to be free, in percent, for anything to be kept. */
  readonly minFreePercent: number;
}

/** When an entry is unlinked, if nothing needs its space before. */
export function freedAt({ trashedAt }: Pick<TrashEntry, 'trashedAt'>, { keepMs }: Pick<TrashPolicy, 'keepMs'>): number {
  return trashedAt + keepMs;
}

/** What an emptying has to achieve. */
export interface EmptyingGoal {
  readonly now: number;
  /** Entries that are older go. */
  readonly keepMs: number;
  /** How much has to be gained in any case; zero when only time decides. */
  readonly neededBytes: bigint;
  /** How long the host has lived since a time of the wall clock; by default what the wall clock says. */
  livedSince?(this: void, time: number): number;
}

/** Whether an entry has been kept for long enough. */
export function isExpired({ trashedAt }: TrashEntry, { now, keepMs, livedSince }: EmptyingGoal): boolean {
  return (livedSince?.(trashedAt) ?? now - trashedAt) >= keepMs;
}

/**
 * Chooses what of the trash goes: what is old enough, then the oldest until enough is gained. A time that lies ahead, which a
 * wrong clock wrote, counts as the oldest.
 */
export function planEmptying(entries: readonly TrashEntry[], goal: EmptyingGoal): readonly TrashEntry[] {
  const { now, neededBytes } = goal;
  let gained = 0n;
  return oldestFirst(entries, now).filter((entry) => {
    const isDue = isExpired(entry, goal) || gained < neededBytes;
    if (isDue) gained += entry.sizeBytes;
    return isDue;
  });
}

/** Entries in the order in which they were deleted: overlays before what they stand on. */
export function oldestFirst(entries: readonly TrashEntry[], now: number): readonly TrashEntry[] {
  const age = ({ trashedAt }: TrashEntry): number => (trashedAt > now ? 0 : trashedAt);
  const counter = ({ id }: TrashEntry): number => parseEntryId(id)?.counter ?? 0;
  return entries.toSorted(
    (a, b) => age(a) - age(b) || (a.run === b.run ? counter(a) - counter(b) : a.run < b.run ? -1 : 1),
  );
}

/** What all entries take up. */
export function trashBytes(entries: readonly TrashEntry[]): bigint {
  let bytes = 0n;
  for (const { sizeBytes } of entries) bytes += sizeBytes;
  return bytes;
}

/** The space that emptying has to bring so that enough of a file system is free. */
export function lackingBytes(
  space: { readonly freeBytes: bigint; readonly totalBytes: bigint },
  wanted: { readonly minFreePercent: number; readonly reserveBytes: bigint },
): bigint {
  const share = (space.totalBytes * BigInt(wanted.minFreePercent)) / 100n;
  const least = share > wanted.reserveBytes ? share : wanted.reserveBytes;
  return least > space.freeBytes ? least - space.freeBytes : 0n;
}
