import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { DEFAULT_TRASH_FOR } from '../config/settings.ts';
import type { Claims } from '../core/claim.ts';
import { parseDuration } from '../core/duration.ts';
import type { Fetcher } from '../core/ports.ts';
import { IntegrityError, LibvirtError, TrustError } from '../errors.ts';
import type { Environment } from '../execute/environment.ts';
import type { PoolToJudge } from '../gather/judge-pool.ts';
import { readStateClaims } from '../gather/claim-roots.ts';
import { createQemuImgInfo } from '../image-format/qemu-img.ts';
import { Connection } from '../libvirt/connection.ts';
import { isNoStoragePool } from '../libvirt/error-codes.ts';
import { lookupPool, refreshPool, type StoragePool } from '../libvirt/storage-pool.ts';
import { createReporter, type Reporter } from '../report/reporter.ts';
import { removeTemporaryFiles } from '../state/atomic-file.ts';
import { newPermissions, type PermissionSettings } from '../state/accounts.ts';
import { type Journal, MAX_JOURNAL_BYTES, openJournal } from '../state/journal.ts';
import { noteLived } from '../state/lived-count.ts';
import { acquireLock } from '../state/lock.ts';
import { removeMetadataStaging } from '../state/metadata-files.ts';
import { assertOwnMetadata, claimMetadata } from '../state/metadata-owner.ts';
import { ensurePoolStateDirs, type PoolStatePaths, poolStatePaths } from '../state/paths.ts';
import { setAside } from '../state/set-aside.ts';
import { pruneTasks } from '../state/tasks.ts';
import { assertOwnPlaces, type OwnDirectory } from '../usage/directories.ts';
import { createFetcher, type FetcherOptions } from '../transfer/fetcher.ts';
import type { CommandContext } from './context.ts';
import type { CommonArguments, PoolArguments } from './options.ts';
import { cacheDirOf, stateDirOf } from './places.ts';

/** Kinds of pools whose volumes can be created and filled as plain files. */
export const USABLE_POOLS: ReadonlySet<string> = new Set(['dir', 'fs', 'netfs']);

/** A command's connection to libvirt, its pool, and where the pool's state lies. */
export interface Session extends PoolToJudge {
  readonly reporter: Reporter;
  readonly context: CommandContext;
  /** Where the state of all pools lies. */
  readonly stateDir: string;
  /** How long what is deleted stays in the trash. */
  readonly trashForMs: number;
  /** Makes the metadata directory that of the pool, for commands that work on one pool. */
  readonly claimMetadata?: () => Promise<void>;
  /** Whether the pool does not exist yet, and a dry run only takes it for made. */
  readonly isPlanned?: boolean;
  /** What is configured for the permissions of new volumes. */
  readonly permissions?: PermissionSettings;
}

/** A session that holds the pool's lock. */
export interface LockedSession extends Session {
  readonly environment: Environment;
}

export function reporterOf(context: CommandContext, options: CommonArguments): Reporter {
  return createReporter({ ...context, ...options });
}

type Patience = Pick<FetcherOptions, 'retries' | 'stallTimeoutMs'>;

export function fetcherOf(context: CommandContext, patience: Patience = {}) {
  return createFetcher({ userAgent: `poolkeeper/${context.version}`, environment: context.env, ...patience });
}

/** Connects to libvirt for the time of `use`. */
export async function withConnection<T>(
  { connect }: CommonArguments,
  use: (connection: Connection) => Promise<T>,
  lanes = 4,
): Promise<T> {
  const connection = await Connection.open(connect, { lanes });
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}

/** The directories that poolkeeper writes to for a pool. */
export function ownDirectories(
  context: CommandContext,
  options: CommonArguments,
  { metadata }: Pick<PoolStatePaths, 'metadata'>,
): readonly OwnDirectory[] {
  return [
    { what: 'state directory', path: stateDirOf(context, options) },
    { what: 'cache directory', path: cacheDirOf(context, options) },
    { what: 'metadata directory', path: metadata },
  ];
}

/**
 * Opens the session of a command on an existing, active pool.
 *
 * @param isExamined whether it is looked at later, without an error, where poolkeeper's own directories are.
 */
export async function openSession(
  context: CommandContext,
  options: PoolArguments,
  connection: Connection,
  isExamined = false,
): Promise<Session> {
  const pool = await lookupUsablePool(connection, options.pool);
  const session = sessionOn(context, options, connection, pool);
  const { paths } = session;
  const owner = { name: pool.name, uuid: pool.uuid, uri: connection.uri };
  await assertOwnMetadata(paths, owner);
  if (!isExamined) await assertOwnPlaces(connection, ownDirectories(context, options, paths), pool.name);
  return { ...session, claimMetadata: () => claimMetadata(paths, owner, context.uid) };
}

/** The UUID of a pool that has none yet. */
const NO_UUID = '00000000-0000-0000-0000-000000000000';

/** Opens the session of a dry run on a pool that is not there yet, as if it were there and empty. */
export function openPlannedSession(
  context: CommandContext,
  options: PoolArguments,
  connection: Connection,
  targetPath: string | undefined,
): Session {
  const named = { name: options.pool, uuid: NO_UUID };
  const pool: StoragePool = { ...named, type: 'dir', isActive: true, targetPath, sourceDevices: [], xml: '' };
  return { ...sessionOn(context, options, connection, pool), isPlanned: true };
}

/** A session as the options describe it. Nothing is looked at. */
function sessionOn(
  context: CommandContext,
  options: PoolArguments,
  connection: Connection,
  pool: StoragePool,
): Session {
  const pathsOf = (any: StoragePool): PoolStatePaths => statePathsOf(context, options, any);
  const reporter = reporterOf(context, options);
  return {
    connection,
    pool,
    paths: pathsOf(pool),
    pathsOf,
    context,
    stateDir: stateDirOf(context, options),
    reporter,
    progress: reporter.progress,
    qemuImg: createQemuImgInfo(),
    ownPid: context.pid,
    readClaims: claimsOf(context, options),
    sharing: options.configuration?.sharing,
    permissions: options,
    trashForMs: trashForMsOf(options),
  };
}

/** How long what is deleted stays in the trash. */
export function trashForMsOf({ trashFor = DEFAULT_TRASH_FOR }: CommonArguments): number {
  return parseDuration(trashFor, 'trash-for');
}

/** Opens the session of a command, and something to fetch by, for the time of `use`. */
export async function withSession(
  context: CommandContext,
  options: PoolArguments,
  use: (session: Session, fetcher: Fetcher) => Promise<void>,
  patience: Patience = {},
): Promise<void> {
  const fetcher = fetcherOf(context, patience);
  try {
    await withConnection(options, async (connection) => use(await openSession(context, options, connection), fetcher));
  } finally {
    await fetcher.close();
  }
}

/** Reads what keeps volumes of any pool by way of poolkeeper's own state. */
export function claimsOf(context: CommandContext, options: CommonArguments): () => Promise<Claims> {
  const stateDir = stateDirOf(context, options);
  return () => readStateClaims(stateDir, context.clock.now());
}

/**
 * Lets libvirt look at the pool anew for a command that changes nothing, so that it sees what the real run will see. While libvirt
 * cannot, as during an upload, its former list has to do.
 */
export async function refreshToLook({ connection, pool, reporter }: Session): Promise<void> {
  try {
    await refreshPool(connection, pool.name);
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    reporter.warning(`${error.message}; its list of volumes may be out of date`, error.hint);
  }
}

/** @throws LibvirtError when the pool is missing, not active, or of a kind that holds no image files. */
export async function lookupUsablePool(connection: Connection, name: string): Promise<StoragePool> {
  const pool = await lookupPool(connection, name).catch((cause: unknown) => {
    if (!isNoStoragePool(cause)) throw cause;
    // Its words would only be repeated, so libvirt's error is not given as the cause.
    throw new LibvirtError(`storage pool '${name}' does not exist on ${connection.uri}`, {
      virErrorNumber: cause.virErrorNumber,
      hint: `'poolkeeper sync --create-pool' creates it; 'virsh pool-list --all' shows those that exist`,
    });
  });
  if (!pool.isActive) {
    throw new LibvirtError(`storage pool '${name}' is not active`, {
      hint: `start it with 'virsh pool-start ${name}'`,
    });
  }
  if (!USABLE_POOLS.has(pool.type)) {
    throw new LibvirtError(`storage pool '${name}' is of type '${pool.type}', which cannot hold image files`, {
      hint: `use a pool of type ${[...USABLE_POOLS].join(', ')}`,
    });
  }
  return pool;
}

/** A metadata directory that the user names is that of the command's own pool. */
function statePathsOf(
  context: CommandContext,
  options: PoolArguments,
  pool: Pick<StoragePool, 'name' | 'uuid'>,
): PoolStatePaths {
  const { metadataDir } = options;
  const isMeant = metadataDir !== undefined && pool.name === options.pool;
  return poolStatePaths({ stateDir: stateDirOf(context, options), pool, ...(isMeant ? { metadataDir } : {}) });
}

/** Takes the pool's lock for the time of `use`; the lock dies with the process. */
export async function withLock<T>(
  session: Session,
  { command, fetcher }: { command: string; fetcher: Fetcher },
  use: (session: LockedSession) => Promise<T>,
): Promise<T> {
  const { context, paths, connection, pool } = session;
  const permissions = await newPermissions(session.permissions ?? {});
  await ensurePoolStateDirs(paths, context.uid);
  await noteLived(session.stateDir, context.clock);
  const since = new Date(context.clock.now()).toISOString();
  const lock = await acquireLock(paths.lock, {
    command: `poolkeeper ${command}`,
    pid: context.pid,
    host: hostname(),
    since,
  });
  try {
    await session.claimMetadata?.();
    await removeMetadataStaging(paths.metadata);
    for (const dir of [paths.root, paths.records, paths.sources, paths.tasks, paths.trash])
      await removeTemporaryFiles(dir);
    await pruneTasks(paths.tasks, context.clock.now());
    const journal = await openSoundJournal(session);
    try {
      const { clock, signal, version, pid, uid } = context;
      const program = `poolkeeper ${version}`;
      const runId = newRunId(clock.now());
      const { progress } = session.reporter;
      const tools = { connection, journal, fetcher, clock, progress, signal };
      const environment = { ...tools, poolName: pool.name, pool, paths, permissions, program, runId, pid, uid };
      return await use({ ...session, environment });
    } finally {
      await journal.close();
    }
  } finally {
    lock.release();
  }
}

/**
 * A damaged journal is set aside and a new one begun: its notes only spare work. A volume that it knew to be unfinished
 * has no record that says otherwise, so it is read through before it is offered.
 */
async function openSoundJournal({ paths, reporter }: Session): Promise<Journal> {
  try {
    return await openJournal(paths.journal);
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    const target = await setAside(paths.journal, undefined, MAX_JOURNAL_BYTES);
    reporter.warning(`${error.message}; it was set aside as ${target}`, error.hint);
    return openJournal(paths.journal);
  }
}

/** A name for a run that people can type, and that sorts by time: `20241120T211254Z-3f9c`. */
function newRunId(now: number): string {
  const time = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return `${time}-${randomBytes(2).toString('hex')}`;
}

/** Lets a TrustError about a keyring say which file it is. */
export function rejectKeyring(path: string): (cause: unknown) => never {
  return (cause) => {
    if (!(cause instanceof TrustError)) throw cause;
    throw new TrustError(`cannot use '${path}'`, { cause, ...(cause.hint !== undefined && { hint: cause.hint }) });
  };
}
