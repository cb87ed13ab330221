import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { decodeVolumeName } from '../core/identity.ts';
import type { ImageRecord } from '../core/record.ts';
import { isSameContent, type PoolVolume, type SpareKind, type SweepOutcome, type Verdict } from '../core/sweep-plan.ts';
import { entryFile, entryId, type FolderIdentity, type TrashedRecord, type TrashEntry } from '../core/trash.ts';
import { isRestorable } from '../core/undo-plan.ts';
import { InUseError, NoSpaceError, PoolkeeperError } from '../errors.ts';
import { isNoStorageVolume } from '../libvirt/error-codes.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { deleteVolume, lookupVolume } from '../libvirt/volume.ts';
import { removeTemporaryFiles } from '../state/atomic-file.ts';
import { fileError } from '../state/file-error.ts';
import { withGate } from '../state/gate.ts';
import { attempt } from '../state/listing.ts';
import { readRecords } from '../state/records.ts';
import { askPatiently, behindLink, folderIdentity, isSameFolder, type PoolTrash } from '../state/trash.ts';
import { removeTrashNote, writeTrashNote } from '../state/trash-notes.ts';
import { errnoCode } from '../util/errno.ts';
import type { Environment } from './environment.ts';
import { attemptOpenTrash, isFilePool, isInFolder } from './pool-trash.ts';
import { runTask } from './run-task.ts';

/** What is needed to delete volumes. */
export interface Sweeper {
  readonly environment: Pick<
    Environment,
    'connection' | 'journal' | 'paths' | 'signal' | 'clock' | 'pid' | 'uid' | 'runId' | 'pool'
  >;
  /** The pool's folder when the plan was made; `undefined`: it could not be looked at. */
  readonly folder: FolderIdentity | undefined;
  /** Whether the volumes are proven to be files of this host. */
  readonly isHere: boolean;
  /** Unlink at once what nobody can want back, or what is to be gone. */
  readonly isForever?: boolean;
  /** Judges these volumes afresh, by name, as if all others were to stay. */
  rejudge(only: ReadonlySet<string>): Promise<readonly Verdict[]>;
  /** Called after a volume is gone. */
  afterDelete(volume: PoolVolume): Promise<void>;
}

/** A sweep while it goes on. */
interface Sweep extends Sweeper {
  /** `undefined`: the files are not on this host. */
  readonly trash: PoolTrash | undefined;
  readonly records: ReadonlyMap<string, ImageRecord>;
  /** Why there can be no trash, by the code of the kernel; `undefined`: there can. */
  noTrash: string | undefined;
  lastCounter: number;
  hasMoved: boolean;
}

/**
 * Deletes volumes: the only place in the program that does. All of it happens inside the pool's gate, so that nobody can
 * take a lease between the second look and the deletions. The plan is checked against a fresh judgement, which may spare
 * volumes and never adds any; each volume's key, size and time are compared once more right before it goes. What fails
 * or changed is reported and does not stop the rest. But it stays, and so must what it stands on: the rest is then judged
 * once more.
 *
 * On this host a deletion is a rename into the trash of the pool (`state/trash.ts`). Only there, where nobody can open it by name
 * any more, the kernel is asked whether somebody has the file open; then it goes back. The pool is refreshed once at the
 * end: libvirt is not asked to delete, since by then another file might have the name.
 *
 * Crash order, for each volume: intent in the journal; note of the trash; the file moves; the kernel is asked; the record says
 * `deleted`; the intent is done. `app/trash.ts` (`mendTrash`) goes on from there.
 */
export async function executeSweep(planned: readonly Verdict[], sweeper: Sweeper): Promise<readonly SweepOutcome[]> {
  const doomed = planned.filter(isDeletion).map(({ volume }) => volume);
  if (doomed.length === 0) return [];
  const { environment } = sweeper;
  const { paths, signal, pool } = environment;
  return withGate(paths.gate, 'exclusive', { signal }, async () => {
    await removeTemporaryFiles(paths.leases);
    const isHere = sweeper.isHere && isFilePool(environment.pool);
    if (isHere && !isSameFolder(folderIdentity(pool.targetPath), sweeper.folder))
      return doomed.map((volume) => spared(volume, 'unseen', OTHER_FOLDER));
    using trash = isHere ? attemptOpenTrash(environment) : undefined;
    if (isHere && trash === undefined) return doomed.map((volume) => spared(volume, 'unseen', CLOSED_FOLDER));
    const { records } = await readRecords(paths.records);
    const sweep: Sweep = { ...sweeper, trash, records, noTrash: undefined, lastCounter: 0, hasMoved: false };
    try {
      return await deleteAll(doomed, sweep);
    } finally {
      // Whatever happened, libvirt is not to list what is gone. A failure here is the next run's to see and say.
      await attempt(() => refreshMoved(sweep));
    }
  });
}

async function deleteAll(doomed: readonly PoolVolume[], sweep: Sweep): Promise<readonly SweepOutcome[]> {
  const outcomes: SweepOutcome[] = [];
  let fresh: ReadonlyMap<string, Deletion> | undefined;
  for (const [index, volume] of doomed.entries()) {
    sweep.environment.signal.throwIfAborted();
    fresh ??= await judgeAfresh(doomed.slice(index), sweep);
    if (sweep.trash !== undefined && !isSameFolder(folderIdentity(sweep.environment.pool.targetPath), sweep.folder)) {
      outcomes.push(...doomed.slice(index).map((rest) => spared(rest, 'unseen', OTHER_FOLDER)));
      break;
    }
    const now = fresh.get(volumeId(volume));
    const isSame = now !== undefined && isSameContent(volume, now.volume);
    const outcome = isSame ? await deleteOne(volume, now.isForced === true, sweep) : spared(volume, 'changed', CHANGED);
    outcomes.push(outcome);
    if (now !== undefined && outcome.result !== 'deleted') fresh = undefined;
  }
  return outcomes;
}

/** A volume that libvirt still lists, and that is not there, might as well lie on a disk that is not mounted. */
async function refreshMoved(sweep: Sweep): Promise<void> {
  if (!sweep.hasMoved) return;
  sweep.hasMoved = false;
  await refreshPool(sweep.environment.connection, sweep.environment.pool.name);
}

const CHANGED = 'it changed or was taken into use meanwhile';
const OTHER_FOLDER = `the pool's folder is not the one that was looked at; was something mounted or unmounted?`;
const CLOSED_FOLDER = `the pool's folder cannot be opened; run as root`;

type Deletion = Extract<Verdict, { action: 'delete' }>;

async function judgeAfresh(volumes: readonly PoolVolume[], sweeper: Sweep): Promise<ReadonlyMap<string, Deletion>> {
  await refreshMoved(sweeper);
  const verdicts = await sweeper.rejudge(new Set(volumes.map(({ name }) => name)));
  return new Map(verdicts.filter(isDeletion).map((verdict) => [volumeId(verdict.volume), verdict]));
}

async function deleteOne(volume: PoolVolume, isForced: boolean, sweep: Sweep): Promise<SweepOutcome> {
  const { environment, trash } = sweep;
  const { connection } = environment;
  const { name: volumeName, allocationBytes: totalBytes } = volume;
  const task = { kind: 'delete', volumeName, identity: decodeVolumeName(volumeName), totalBytes } as const;
  try {
    const now = await lookupVolume(connection, volume.pool, volume.name);
    if (!isSameContent(volume, now)) return spared(volume, 'changed', CHANGED);
    return await runTask(environment, task, async () => {
      const outcome =
        trash !== undefined && isInFolder(environment.pool, volume)
          ? await discard(volume, isForced, trash, sweep)
          : await deleteInPlace(volume, sweep);
      if (outcome.result === 'spared') throw new Spared(outcome);
      return outcome;
    });
  } catch (error) {
    if (error instanceof Spared) return error.outcome;
    if (isNoStorageVolume(error)) return spared(volume, 'changed', 'it is gone already');
    if (error instanceof PoolkeeperError) return { result: 'failed', volume, error };
    throw error;
  }
}

/** Lets the record of the task say that nothing was deleted. */
class Spared extends Error {
  readonly outcome: Extract<SweepOutcome, { result: 'spared' }>;

  constructor(outcome: Extract<SweepOutcome, { result: 'spared' }>) {
    super(outcome.reason);
    this.outcome = outcome;
  }
}

/** Moves a file into the trash, or out of the world where there can be none. */
async function discard(volume: PoolVolume, isForced: boolean, trash: PoolTrash, sweep: Sweep): Promise<SweepOutcome> {
  const { journal, paths } = sweep.environment;
  const found = trash.look(volume.name);
  if (found === undefined) return spared(volume, 'changed', 'it is gone already');
  if (!found.isFile() && !found.isSymbolicLink())
    return spared(volume, 'unseen', 'nobody can tell who has such a file open');
  const behind = found.isSymbolicLink() ? behindLink(join(trash.home, volume.name)) : undefined;
  const intent = await noteIntent(volume, journal);
  const entry = await moveAway(volume, { trash, found, isForced }, sweep);
  if (typeof entry === 'string') {
    return deleteHere(volume, { trash, behind, isForced, noTrash: entry, intent }, sweep);
  }
  sweep.hasMoved = true;
  const { place, id } = entry;
  const moved = trash.lookIn(place, id, volume.name);
  const answer = await askPatiently(behind ?? trash.pathIn(place, id, volume.name));
  const isFree = answer.is === 'free' || (answer.is === 'unknown' && behind !== undefined && answer.code === 'ENOENT');
  const reason = !isSameFile(found, moved)
    ? spared(volume, 'changed', CHANGED)
    : isFree || (answer.is === 'held' && isForced)
      ? undefined
      : toSpared(volume, answer);
  if (reason !== undefined) {
    const isBack = bringBack(entry, trash);
    if (isBack) await removeTrashNote(paths.trash, id);
    if (intent !== undefined) await journal.done(intent);
    return isBack ? reason : stranded(volume, entry);
  }
  if (sweep.isForever === true) {
    trash.unlink(place, id, volume.name);
    await removeTrashNote(paths.trash, id);
    return writeDown({ result: 'deleted', volume }, intent, sweep);
  }
  return writeDown({ result: 'deleted', volume, trashed: entry }, intent, sweep);
}

/** Moves a file to the first place that takes it. @returns the entry, or why there is no place. */
async function moveAway(
  volume: PoolVolume,
  { trash, found, isForced }: { readonly trash: PoolTrash; readonly found: BigIntStats; readonly isForced: boolean },
  sweep: Sweep,
): Promise<TrashEntry | string> {
  const { paths, runId, clock } = sweep.environment;
  const record = sweep.records.get(volume.name);
  const refusals: string[] = [];
  for (const place of trash.places) {
    const refusal = trash.prepare(place);
    if (refusal !== undefined) {
      refusals.push(`${place}: ${refusal}`);
      continue;
    }
    const id = nextId(runId, place, trash, sweep);
    const entry: TrashEntry = {
      id,
      run: runId,
      place,
      pool: volume.pool,
      volumeName: volume.name,
      path: volume.path,
      realPath: join(trash.home, volume.name),
      trashedAt: clock.now(),
      sizeBytes: found.blocks * 512n,
      wasNeeded: isForced,
      record: record && trashedRecord(record),
    };
    await unlessFull(() => writeTrashNote(paths.trash, entry));
    const moved = attemptMove(volume.name, entry, trash);
    if (moved === 'moved') return entry;
    await removeTrashNote(paths.trash, id);
    refusals.push(`${place}: ${moved.refused}`);
  }
  return refusals.join(', ');
}

/** Entries of another run of this name, which only a clock that was set back can have made, keep theirs. */
function nextId(runId: string, place: string, trash: PoolTrash, sweep: Sweep): string {
  const taken = new Set(sweep.lastCounter === 0 ? trash.list(place).map(({ id }) => id) : []);
  do sweep.lastCounter += 1;
  while (taken.has(entryId(runId, sweep.lastCounter)));
  return entryId(runId, sweep.lastCounter);
}

function attemptMove(name: string, { place, id }: TrashEntry, trash: PoolTrash): ReturnType<PoolTrash['throwAway']> {
  try {
    return trash.throwAway(name, place, id);
  } catch (cause) {
    throw fileError(`cannot move '${name}' into the trash ${place}`, cause);
  }
}

function bringBack({ place, id, volumeName }: TrashEntry, trash: PoolTrash): boolean {
  try {
    trash.bringBack(place, id, volumeName);
    return true;
  } catch (cause) {
    if (errnoCode(cause) === undefined) throw cause;
    return false;
  }
}

/** Deletes a file of this host for which there is no trash. The kernel is asked directly before. */
async function deleteHere(
  volume: PoolVolume,
  how: {
    readonly trash: PoolTrash;
    readonly behind: string | undefined;
    readonly isForced: boolean;
    readonly noTrash: string;
    readonly intent: number | undefined;
  },
  sweep: Sweep,
): Promise<SweepOutcome> {
  const { connection, journal } = sweep.environment;
  const answer = await askPatiently(how.behind ?? join(how.trash.home, volume.name));
  const isDangling = answer.is === 'unknown' && how.behind !== undefined && answer.code === 'ENOENT';
  if (answer.is !== 'free' && !isDangling && !(answer.is === 'held' && how.isForced)) {
    if (how.intent !== undefined) await journal.done(how.intent);
    return toSpared(volume, answer);
  }
  await deleteVolume(connection, volume.pool, volume.name);
  const noTrash = sweep.isForever === true ? {} : { noTrash: how.noTrash };
  return writeDown({ result: 'deleted', volume, ...noTrash }, how.intent, sweep);
}

/** Deletes what is no file of this host, by libvirt alone. */
async function deleteInPlace(volume: PoolVolume, sweep: Sweep): Promise<SweepOutcome> {
  const { environment } = sweep;
  if (sweep.isHere && isFilePool(environment.pool))
    return spared(volume, 'unseen', `its file is not in the pool's folder`);
  const intent = await noteIntent(volume, environment.journal);
  await deleteVolume(environment.connection, volume.pool, volume.name);
  return writeDown({ result: 'deleted', volume }, intent, sweep);
}

/**
 * A full disk must not keep anybody from making room. Without the note, a crash leaves a record that says of a volume
 * that it waits for deletion when it is gone; nothing rests on that.
 */
async function noteIntent({ name, key }: PoolVolume, journal: Environment['journal']): Promise<number | undefined> {
  return unlessFull(() => journal.begin({ kind: 'delete', volumeName: name, volumeKey: key }));
}

async function unlessFull<T>(write: () => Promise<T>): Promise<T | undefined> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof NoSpaceError) return undefined;
    throw error;
  }
}

/** The volume is gone, whatever happens now. An intent that stays open makes the next run write it down. */
async function writeDown(
  outcome: Extract<SweepOutcome, { result: 'deleted' }>,
  intent: number | undefined,
  sweep: Sweep,
): Promise<SweepOutcome> {
  try {
    await sweep.afterDelete(outcome.volume);
    if (intent !== undefined) await sweep.environment.journal.done(intent);
    return outcome;
  } catch (error) {
    if (error instanceof PoolkeeperError) return { ...outcome, unrecorded: error };
    throw error;
  }
}

function trashedRecord(record: ImageRecord): TrashedRecord {
  const { status, reason, retiredBy, provenance } = record;
  return { status, reason, retiredBy, digest: provenance.digest, isRestorable: isRestorable(record) };
}

/** Whether what was moved is what was looked at before. A rename changes nothing but the time of the last change of the inode. */
function isSameFile(before: BigIntStats, after: BigIntStats | undefined): boolean {
  return (
    after !== undefined && before.ino === after.ino && before.size === after.size && before.mtimeNs === after.mtimeNs
  );
}

function toSpared(volume: PoolVolume, answer: Awaited<ReturnType<typeof askPatiently>>): SweepOutcome {
  if (answer.is !== 'unknown') return spared(volume, 'held', 'somebody has it open');
  return spared(volume, 'unseen', `the kernel does not tell whether somebody has it open (${answer.code})`);
}

function stranded(volume: PoolVolume, entry: TrashEntry): SweepOutcome {
  const error = new InUseError(
    `volume '${volume.name}' is in use and was to go back from the trash, but another file has its name by now`,
    {
      hint: `its file is ${entryFile(entry)}; move the other one away, then 'poolkeeper undo ${entry.id}' brings it back`,
    },
  );
  return { result: 'failed', volume, error };
}

function spared(volume: PoolVolume, why: SpareKind, reason: string): Extract<SweepOutcome, { result: 'spared' }> {
  return { result: 'spared', volume, why, reason };
}

function isDeletion(verdict: Verdict): verdict is Deletion {
  return verdict.action === 'delete';
}

function volumeId({ pool, name }: PoolVolume): string {
  return `${pool}/${name}`;
}
