import { lstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { decodeVolumeName, encodeVolumeName } from '../core/identity.ts';
import { isSameDigest } from '../core/partial-image.ts';
import type { ImageRecord } from '../core/record.ts';
import { volumeToken } from '../core/reference-tokens.ts';
import type { WantedImage } from '../core/selection.ts';
import { isImpossibleTime } from '../core/sweep-plan.ts';
import {
  type EmptyingGoal,
  entryFile,
  isExpired,
  lackingBytes,
  oldestFirst,
  parseEntryId,
  planEmptying,
  trashBytes,
  type TrashEntry,
  type TrashPolicy,
} from '../core/trash.ts';
import { type HeldRecord, isRestorable, planUndo } from '../core/undo-plan.ts';
import { concerns, createResolver, type Edge, type GraphNode, type UseGraph } from '../core/use-graph.ts';
import { FailureError, PoolkeeperError } from '../errors.ts';
import { type Environment, putRecord } from '../execute/environment.ts';
import { offerImage } from '../execute/offer-image.ts';
import { attemptOpenTrash, isFilePool, openTrash, type TrashSite } from '../execute/pool-trash.ts';
import { localFiles, pathTokens } from '../gather/file-identity.ts';
import { gatherPoolView } from '../gather/pool-view.ts';
import { gatherUseGraph, type GraphSight } from '../gather/use-graph.ts';
import { inspectImage } from '../image-format/inspect-image.ts';
import { openLocalImage } from '../image-format/local-file.ts';
import { refreshPool, type StoragePool } from '../libvirt/storage-pool.ts';
import { listVolumeNames } from '../libvirt/volume.ts';
import { fileError } from '../state/file-error.ts';
import { attempt } from '../state/listing.ts';
import type { PoolStatePaths } from '../state/paths.ts';
import { readRecords } from '../state/records.ts';
import { askPatiently, behindLink, type PoolTrash } from '../state/trash.ts';
import { readTrashNotes, removeTrashNote, writeTrashNote } from '../state/trash-notes.ts';
import { errnoCode } from '../util/errno.ts';

/** A session that can look at everything and change the trash of a pool. */
export interface TrashSession extends GraphSight {
  readonly environment: Environment;
  readonly pool: StoragePool;
  readonly paths: PoolStatePaths;
}

/** The outcome for an entry that was to come back. */
export interface Return {
  readonly entry: TrashEntry;
  /** `occupied`: another file has its name by now, so it stays in the trash. */
  readonly result: 'restored' | 'occupied' | 'failed';
  readonly isOffered: boolean;
  readonly error?: PoolkeeperError;
  /** The reference that needs it; `undefined`: somebody asked for it, or it stands below what is needed. */
  readonly need?: Edge;
}

/** The outcome for an entry that was to be unlinked. */
export interface Emptied {
  readonly entry: TrashEntry;
  /**
   * `held`: somebody has it open; `named`: a document names the file where it lies now; `unseen`: something could not be
   * seen that might need it.
   */
  readonly result: 'unlinked' | 'held' | 'named' | 'unseen' | 'failed';
  readonly error?: PoolkeeperError;
}

/** How an emptying went. */
export interface Emptying {
  readonly emptied: readonly Emptied[];
  /** Entries that came back instead, because something needs them. */
  readonly returned: readonly Return[];
}

/**
 * Everything that lies in the trash of a pool, the oldest first. What has no note is known by the name of its folder alone; what
 * has one and is gone is left out.
 */
export async function readTrash(site: TrashSite, paths: PoolStatePaths): Promise<readonly TrashEntry[]> {
  if (!isFilePool(site.pool)) return [];
  const notes = await readTrashNotes(paths.trash);
  const known = new Set(notes.map(({ id }) => id));
  const present = notes.filter((entry) => presence(entry) !== 'missing');
  using trash = attemptOpenTrash(site);
  if (trash === undefined) return oldestFirst(present, Number.POSITIVE_INFINITY);
  const strays = trash.places.flatMap((place) =>
    trash
      .list(place)
      .filter(({ id }) => !known.has(id))
      .flatMap(({ id, names: [name] }) => (name === undefined ? [] : [strayEntry(site, { trash, place, id, name })])),
  );
  return oldestFirst([...present, ...strays], Number.POSITIVE_INFINITY);
}

/** Describes an entry without a note: its folder tells the run, and the last change of its inode when it was deleted. */
function strayEntry(
  { pool }: TrashSite,
  found: { readonly trash: PoolTrash; readonly place: string; readonly id: string; readonly name: string },
): TrashEntry {
  const { trash, place, id, name } = found;
  const stat = trash.lookIn(place, id, name);
  return {
    id,
    run: parseEntryId(id)?.run ?? id,
    place,
    pool: pool.name,
    volumeName: name,
    path: join(pool.targetPath ?? trash.home, name),
    realPath: join(trash.home, name),
    trashedAt: Number((stat?.ctimeNs ?? 0n) / 1_000_000n),
    sizeBytes: (stat?.blocks ?? 0n) * 512n,
    wasNeeded: false,
    record: undefined,
  };
}

/**
 * Goes on where an earlier run was killed, before anything else is looked at. The kernel is asked about files that were moved
 * and that it had not been asked about. Notes of what is gone, and empty folders, are removed.
 *
 * @returns what went back, because somebody has it open, or nobody can tell.
 */
export async function mendTrash(session: TrashSession): Promise<readonly Return[]> {
  const { environment, paths } = session;
  if (!isFilePool(environment.pool)) return [];
  const notes = await readTrashNotes(paths.trash);
  for (const entry of notes) {
    const seen = presence(entry);
    if (seen === 'missing') await forget(entry, session);
    else if (isImpossibleTime(entry.trashedAt, environment.clock.now()))
      await writeTrashNote(paths.trash, { ...entry, trashedAt: environment.clock.now() });
  }
  const interrupted = new Set(
    environment.journal.openIntents().flatMap(({ intent }) => (intent.kind === 'delete' ? [intent.volumeName] : [])),
  );
  if (interrupted.size === 0) return [];
  const entries = await readTrash(environment, paths);
  const doubtful: TrashEntry[] = [];
  for (const name of interrupted) {
    const entry = entries.findLast(({ volumeName }) => volumeName === name);
    if (entry === undefined) continue;
    const answer = await askAbout(entry);
    if (answer !== 'free' && !(answer === 'held' && entry.wasNeeded)) doubtful.push(entry);
  }
  return bringBack(doubtful, session, { asBefore: true });
}

/**
 * Brings back whatever something has begun to need since it was deleted, with what it stands on: whatever would have kept it
 * from being deleted. Called before anything is planned.
 */
export async function rescueFromTrash(session: TrashSession): Promise<readonly Return[]> {
  const entries = await readTrash(session.environment, session.paths);
  if (entries.length === 0) return [];
  const { graph } = await gatherUseGraph(session);
  return rescue(entries, graph, session);
}

/** Tells what `rescueFromTrash` would bring back, and why. Changes nothing and needs no lock. */
export async function plannedRescues(
  sight: GraphSight,
  site: TrashSite,
  paths: PoolStatePaths,
): Promise<ReadonlyMap<TrashEntry, Edge>> {
  const entries = await readTrash(site, paths);
  if (entries.length === 0) return new Map();
  return namedAgain(entries, (await gatherUseGraph(sight)).graph);
}

async function rescue(
  entries: readonly TrashEntry[],
  graph: UseGraph,
  session: TrashSession,
): Promise<readonly Return[]> {
  const needs = namedAgain(entries, graph);
  if (needs.size === 0) return [];
  const returned = await bringBack(await withBases([...needs.keys()], entries), session, {});
  return returned.map((each) => {
    const need = needs.get(each.entry);
    return need === undefined ? each : { ...each, need };
  });
}

/**
 * Entries that a document or an image names, where nothing lies now. An entry that was needed when it was deleted all the same is
 * left to `undo`: those who need it are known to lack it.
 */
function namedAgain(entries: readonly TrashEntry[], graph: UseGraph): ReadonlyMap<TrashEntry, Edge> {
  // Of several that had one name, whoever names it means what had it last.
  const last = new Map(entries.map((entry) => [entry.realPath, entry]));
  const awaited = [...last.values()].filter((entry) => !entry.wasNeeded && isFree(entry.realPath));
  const byNode = new Map(awaited.map((entry) => [formerNode(entry), entry]));
  const resolver = createResolver([...byNode.keys()]);
  const found = new Map<TrashEntry, Edge>();
  const edges = [...graph.roots, ...graph.nodes].flatMap((each) => each.edges);
  for (const edge of edges) {
    for (const node of resolver.targets(edge)) {
      const entry = byNode.get(node);
      if (entry !== undefined && !found.has(entry)) found.set(entry, edge);
    }
  }
  // By another path of the same folder, such as a bind mount.
  const files = localFiles();
  const byPlace = new Map(awaited.map((entry) => [files.identify(entry.realPath).entry, entry]));
  for (const {
    name,
    edges: [edge],
  } of graph.absences ?? []) {
    const place = name.kind === 'path' ? files.identify(name.path).entry : undefined;
    const entry = place === undefined ? undefined : byPlace.get(place);
    if (entry !== undefined && edge !== undefined && !found.has(entry)) found.set(entry, edge);
  }
  return found;
}

/** An entry as the node that it was in the use graph. */
function formerNode({ id, path, realPath, pool, volumeName }: TrashEntry): GraphNode {
  const { tokens, paths } = localFiles().identify(path);
  return {
    id,
    label: `volume ${pool}/${volumeName}`,
    tokens: [...new Set([...tokens, ...pathTokens(realPath), volumeToken(pool, volumeName)])],
    paths: [...new Set([...paths, realPath])],
    isDirectory: false,
    edges: [],
  };
}

/**
 * Adds to entries the others on which they stand, however deep, and puts all of them in order: what is stood upon first.
 *
 * @param all among which to look.
 */
export async function withBases(
  chosen: readonly TrashEntry[],
  all: readonly TrashEntry[],
): Promise<readonly TrashEntry[]> {
  const ordered = new Set<TrashEntry>();
  const begun = new Set<TrashEntry>();
  const add = async (entry: TrashEntry): Promise<void> => {
    if (begun.has(entry)) return;
    begun.add(entry);
    const bases = await pathsBelow(entry);
    // Of several that had one name, the last is the one that it stood on.
    for (const path of bases) {
      const base = all.findLast((other) => other.path === path || other.realPath === path);
      if (base !== undefined) await add(base);
    }
    ordered.add(entry);
  };
  for (const entry of chosen) await add(entry);
  return [...ordered];
}

/** The paths that the header of a trashed image names, as it named them in its former place. */
async function pathsBelow(entry: TrashEntry): Promise<readonly string[]> {
  try {
    await using image = await openLocalImage(entryFile(entry));
    const { references } = await inspectImage({ ...image, path: entry.path, read: image.read.bind(image) });
    const files = localFiles();
    return references.flatMap(({ kind, value }) => (kind === 'path' ? [...files.identify(value).paths] : []));
  } catch (error) {
    if (error instanceof PoolkeeperError) return [];
    throw error;
  }
}

/**
 * Brings entries back under their former names, never over another file. Crash order for each: the record, which without a volume says
 * nothing; the file; then, when libvirt has seen them, what offers them, and the notes.
 *
 * @param mayOffer whether the newest versions are offered to new domains again; `asBefore`: what was not deleted after all
 * stays what it was.
 */
export async function bringBack(
  entries: readonly TrashEntry[],
  session: TrashSession,
  { mayOffer = false, asBefore = false }: { readonly mayOffer?: boolean; readonly asBefore?: boolean },
): Promise<readonly Return[]> {
  if (entries.length === 0) return [];
  const { environment, pool, paths, connection } = session;
  const { records } = await readRecords(paths.records);
  const outcomes: Return[] = [];
  const restored: ImageRecord[] = [];
  for (const entry of entries) {
    environment.signal.throwIfAborted();
    const stayed = outcomes.filter(({ result }) => result !== 'restored').map((each) => each.entry);
    if (stayed.length > 0) {
      const bases = new Set(await pathsBelow(entry));
      const base = stayed.find(({ path, realPath }) => bases.has(path) || bases.has(realPath));
      if (base !== undefined) {
        outcomes.push({ entry, result: 'failed', isOffered: false, error: baseStayed(entry, base) });
        continue;
      }
    }
    try {
      using trash = openTrash(environment, dirname(entry.realPath));
      if (trash.look(entry.volumeName) !== undefined) {
        outcomes.push({ entry, result: 'occupied', isOffered: false });
        continue;
      }
      const record = records.get(entry.volumeName);
      if (!asBefore && record !== undefined && isComplete(entry, record)) {
        const { volumeName, identity, provenance, tags } = record;
        restored.push({ ...record, status: 'pending_delete' });
        await putRecord(environment, record, { volumeName, identity, provenance, tags, status: 'active' });
      }
      trash.bringBack(entry.place, entry.id, entry.volumeName);
      outcomes.push({ entry, result: 'restored', isOffered: false });
    } catch (cause) {
      if (errnoCode(cause) === 'EEXIST') outcomes.push({ entry, result: 'occupied', isOffered: false });
      else outcomes.push({ entry, result: 'failed', isOffered: false, error: toKnown(entry, cause) });
    }
  }
  const isBack = outcomes.filter(({ result }) => result === 'restored');
  if (isBack.length > 0) await refreshPool(connection, pool.name);
  const offered = mayOffer ? await offerNewest(restored, session) : new Set<string>();
  for (const { entry } of isBack) await removeTrashNote(paths.trash, entry.id);
  return outcomes.map((each) => ({ ...each, isOffered: offered.has(each.entry.volumeName) }));
}

/** Whatever has the base's name by now, the overlay would show other content on it. */
function baseStayed({ volumeName }: TrashEntry, base: TrashEntry): FailureError {
  return new FailureError(
    `cannot bring volume '${volumeName}' back: '${base.volumeName}', on which it stands, stays in the trash`,
    { hint: `move away what lies at '${base.path}', then run the same again` },
  );
}

async function offerNewest(restored: readonly ImageRecord[], session: TrashSession): Promise<ReadonlySet<string>> {
  const { environment, pool, paths, connection } = session;
  const { managed, records, metadata } = await gatherPoolView(
    pool,
    await listVolumeNames(connection, pool.name),
    paths,
  );
  const offeredKeys = new Set([...metadata.values()].map(({ identity }) => encodeVolumeName(identity, pool.type)));
  const held = [...managed].map(([name, { identity }]): HeldRecord => ({
    identity,
    record: records.get(name),
    isOffered: offeredKeys.has(name),
  }));
  const offered = new Set<string>();
  for (const { record, isOffered } of planUndo(
    restored.filter(({ volumeName }) => managed.has(volumeName)),
    held,
  )) {
    if (!isOffered) continue;
    await offerImage(record, environment);
    offered.add(record.volumeName);
  }
  return offered;
}

/** `saving`: it was to be fetched anew, and has not even a volume; `active`: an earlier return was interrupted. */
const RETURNING: readonly ImageRecord['status'][] = ['deleted', 'pending_delete', 'saving', 'active'];

/** Whether an image was complete when it was deleted, so that it can be active again. */
function isComplete({ record: former }: TrashEntry, record: ImageRecord): boolean {
  if (!RETURNING.includes(record.status)) return false;
  return former?.isRestorable ?? isRestorable({ ...record, status: 'pending_delete' });
}

/**
 * Whether `undo` brings an entry back: an image that was complete, or a volume that is nobody's image. What was never complete would
 * only be deleted again.
 */
export function isWorthReturning(
  entry: TrashEntry,
  records: ReadonlyMap<string, ImageRecord>,
  pool: Pick<StoragePool, 'type'>,
): boolean {
  const identity = decodeVolumeName(entry.volumeName);
  if (identity === undefined || encodeVolumeName(identity, pool.type) !== entry.volumeName) return true;
  const record = records.get(entry.volumeName);
  return record !== undefined && isComplete(entry, record);
}

/**
 * Brings back images that are about to be fetched, and of which the trash still has the very content by the digest of their source. They have
 * no record that says so, so whoever comes next reads them through before they are offered.
 */
export async function recallFromTrash(
  session: TrashSession,
  wanted: readonly WantedImage[],
): Promise<readonly Return[]> {
  const entries = await readTrash(session.environment, session.paths);
  if (entries.length === 0) return [];
  const { pool } = session;
  const recalled = wanted.flatMap(({ identity, digest }) => {
    const name = encodeVolumeName(identity, pool.type);
    const isIt = ({ volumeName, record }: TrashEntry): boolean =>
      volumeName === name &&
      record?.isRestorable === true &&
      record.digest !== undefined &&
      isSameDigest(record.digest, digest);
    const entry = entries.findLast(isIt);
    return entry === undefined ? [] : [entry];
  });
  const returned = await bringBack(recalled, session, { asBefore: true });
  return returned.filter(({ result }) => result === 'restored');
}

/** The space that the trash must make, by policy. */
export interface SpacePolicy extends TrashPolicy, Pick<EmptyingGoal, 'livedSince'> {
  readonly reserveBytes: bigint;
  /** Above it, images and trash together are too large. */
  readonly maxSizeBytes: bigint | undefined;
  /** What the images of the pool take up. */
  readonly heldBytes: bigint;
}

/** Empties the trash of what is old enough, and of what space asks for. */
export async function emptyByPolicy(session: TrashSession, policy: SpacePolicy): Promise<Emptying> {
  const { environment, paths } = session;
  const entries = await readTrash(environment, paths);
  if (entries.length === 0) return { emptied: [], returned: [] };
  const { maxSizeBytes, heldBytes, livedSince = (time: number) => environment.clock.now() - time } = policy;
  const all = heldBytes + trashBytes(entries);
  const excess = maxSizeBytes === undefined || all <= maxSizeBytes ? 0n : all - maxSizeBytes;
  const lacking = lackingOn(entries, environment, policy);
  const neededBytes = lacking > excess ? lacking : excess;
  return emptyTrash(session, { now: environment.clock.now(), keepMs: policy.keepMs, neededBytes, livedSince });
}

/** Empties the trash until so many bytes are gained, the oldest first. */
export function makeRoom(session: TrashSession, neededBytes: bigint): Promise<Emptying> {
  const now = session.environment.clock.now();
  return emptyTrash(session, { now, keepMs: Number.POSITIVE_INFINITY, neededBytes });
}

function lackingOn(entries: readonly TrashEntry[], site: TrashSite, policy: SpacePolicy): bigint {
  const [first] = entries;
  if (first === undefined) return 0n;
  using trash = attemptOpenTrash(site, dirname(first.realPath));
  if (trash === undefined || !trash.hasPlace(first.place)) return 0n;
  return lackingBytes(trash.space(first.place), policy);
}

/**
 * Unlinks entries for good. Everything is looked at once more right before: what is needed again comes back instead; what
 * something unseen could need stays, unless somebody asked for all to go; what is named where it lies now stays in any case. The
 * kernel is asked about each.
 *
 * @param isOrdered somebody said so, having seen what it is.
 */
export async function emptyTrash(session: TrashSession, goal: EmptyingGoal, isOrdered = false): Promise<Emptying> {
  const { environment } = session;
  const entries = await readTrash(environment, session.paths);
  if (planEmptying(entries, goal).length === 0) return { emptied: [], returned: [] };
  const { graph } = await gatherUseGraph(session);
  const returned = await rescue(entries, graph, session);
  const back = new Set(returned.map(({ entry }) => entry));
  const emptied: Emptied[] = [];
  let gained = 0n;
  for (const entry of oldestFirst(entries, goal.now)) {
    if (back.has(entry)) continue;
    if (!isExpired(entry, goal) && gained >= goal.neededBytes) continue;
    environment.signal.throwIfAborted();
    const isUnseen = !isOrdered && mayBeNeeded(entry, graph);
    const outcome: Emptied =
      namesInTrash(entry, graph) !== undefined
        ? { entry, result: 'named' }
        : isUnseen
          ? { entry, result: 'unseen' }
          : await unlinkEntry(entry, session);
    emptied.push(outcome);
    if (outcome.result === 'unlinked') gained += entry.sizeBytes;
  }
  const held = emptied.flatMap(({ entry, result }) => (result === 'held' && !entry.wasNeeded ? [entry] : []));
  const more = await bringBack(held, session, {});
  // For whoever asks next how much is free.
  if (emptied.some(({ result }) => result === 'unlinked'))
    await attempt(() => refreshPool(session.connection, session.pool.name));
  return { emptied, returned: [...returned, ...more] };
}

/**
 * Unlinks entries for good, whoever needs them or has them open: somebody said so, and was told who does.
 */
export async function unlinkTrashed(
  entries: readonly TrashEntry[],
  session: TrashSession,
): Promise<readonly Emptied[]> {
  const outcomes: Emptied[] = [];
  for (const entry of entries) outcomes.push(await unlinkNow(entry, session));
  return outcomes;
}

/** Why an entry is not to be unlinked, as far as can be seen. */
export interface TrashNeed {
  readonly entry: TrashEntry;
  /** The reference that names it; `undefined`: somebody has it open, or, with `isUnseen`, the kernel does not tell. */
  readonly edge: Edge | undefined;
  readonly isUnseen: boolean;
  /** A lease or a lock, which no force overrides. */
  readonly isClaim: boolean;
}

/** Finds the needs that speak against unlinking entries: references to the former path or to the trash, and open files. */
export async function needsOf(entries: readonly TrashEntry[], session: TrashSession): Promise<readonly TrashNeed[]> {
  if (entries.length === 0) return [];
  const { graph } = await gatherUseGraph(session);
  const named = namedAgain(
    entries.map((entry) => ({ ...entry, wasNeeded: false })),
    graph,
  );
  const byId = new Map([...named].map(([{ id }, edge]) => [id, edge]));
  const claims = new Set(graph.roots.flatMap(({ isClaim = false, edges }) => (isClaim ? edges : [])));
  const needs: TrashNeed[] = [];
  for (const entry of entries) {
    const edge = byId.get(entry.id) ?? namesInTrash(entry, graph);
    if (edge !== undefined) {
      needs.push({ entry, edge, isUnseen: false, isClaim: claims.has(edge) });
      continue;
    }
    const answer = await askAbout(entry);
    if (answer === 'held' || answer === 'unseen')
      needs.push({ entry, edge: undefined, isUnseen: answer === 'unseen', isClaim: false });
  }
  return needs;
}

/** Whether something could not be seen that might name the file. */
function mayBeNeeded(entry: TrashEntry, graph: UseGraph): boolean {
  const node = formerNode(entry);
  return graph.blindSpots.some((blindSpot) => concerns(blindSpot, node));
}

/** Finds the reference that names the file where it lies now. */
function namesInTrash(entry: TrashEntry, graph: UseGraph): Edge | undefined {
  const path = entryFile(entry);
  const isIt = ({ reference: { kind, value }, tokens }: Edge): boolean =>
    kind === 'path' ? tokens.includes(`path:${path}`) : kind === 'text' && value.includes(path);
  return [...graph.roots, ...graph.nodes].flatMap(({ edges }) => edges).find(isIt);
}

async function unlinkEntry(entry: TrashEntry, session: TrashSession): Promise<Emptied> {
  const answer = await askAbout(entry);
  if (answer === 'gone') {
    await forget(entry, session);
    return { entry, result: 'unlinked' };
  }
  return answer === 'free' ? unlinkNow(entry, session) : { entry, result: answer };
}

async function unlinkNow(entry: TrashEntry, session: TrashSession): Promise<Emptied> {
  try {
    using trash = openTrash(session.environment, dirname(entry.realPath));
    trash.unlink(entry.place, entry.id, entry.volumeName);
    await removeTrashNote(session.paths.trash, entry.id);
    return { entry, result: 'unlinked' };
  } catch (cause) {
    return { entry, result: 'failed', error: toKnown(entry, cause) };
  }
}

/** Whether anybody has an entry's file open. */
async function askAbout(entry: TrashEntry): Promise<'free' | 'held' | 'unseen' | 'gone'> {
  const path = entryFile(entry);
  if (presence(entry) === 'missing') return 'gone';
  const target = behindLink(path);
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  // A process that opened the file behind a link holds that file; nobody can hold the link itself.
  if (isLink) return 'free';
  const answer = await askPatiently(target);
  return answer.is === 'unknown' ? 'unseen' : answer.is;
}

/** Removes what is left of an entry whose file is gone. */
async function forget(entry: TrashEntry, { environment, paths }: TrashSession): Promise<void> {
  try {
    using trash = openTrash(environment, dirname(entry.realPath));
    trash.tidy(entry.place, entry.id);
  } catch (error) {
    if (errnoCode(error) === undefined) throw error;
  }
  await removeTrashNote(paths.trash, entry.id);
}

/** Whether an entry's file is there. Where its place is not, as when a file system is not mounted, nobody can tell. */
function presence(entry: TrashEntry): 'there' | 'missing' | 'unknown' {
  try {
    if (lstatSync(entryFile(entry), { throwIfNoEntry: false }) !== undefined) return 'there';
    return lstatSync(entry.place, { throwIfNoEntry: false })?.isDirectory() === true ? 'missing' : 'unknown';
  } catch (error) {
    if (errnoCode(error) === undefined) throw error;
    return 'unknown';
  }
}

/** Whether nothing lies at a path, in a folder that is there. */
function isFree(path: string): boolean {
  try {
    return (
      lstatSync(path, { throwIfNoEntry: false }) === undefined &&
      lstatSync(dirname(path), { throwIfNoEntry: false })?.isDirectory() === true
    );
  } catch (error) {
    if (errnoCode(error) === undefined) throw error;
    return false;
  }
}

function toKnown(entry: TrashEntry, cause: unknown): PoolkeeperError {
  const error = fileError(`cannot move '${entry.volumeName}' out of the trash`, cause);
  if (error instanceof PoolkeeperError) return error;
  throw error;
}
