import { isAbsolute, join } from 'node:path';
import { FailureError, UsageError } from '../errors.ts';
import { ensurePrivateDir } from './private-dir.ts';

const UVTOOL_POOL = 'uvtool';
/** Where uvtool keeps metadata files. */
export const UVTOOL_METADATA_DIR = '/var/lib/uvtool/libvirt/metadata';
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

type Environment = Readonly<Record<string, string | undefined>>;

/** Where poolkeeper's state about one storage pool lies. All but `journal`, `lock` and `gate` are directories. */
export interface PoolStatePaths {
  readonly root: string;
  readonly records: string;
  readonly journal: string;
  readonly lock: string;
  readonly gate: string;
  readonly metadata: string;
  readonly leases: string;
  readonly tasks: string;
  readonly sources: string;
}

export interface PoolStateOptions {
  readonly stateDir: string;
  readonly pool: { readonly name: string; readonly uuid: string };
  /** Wins over the rule by the pool's name. */
  readonly metadataDir?: string;
  readonly uvtoolMetadataDir?: string;
}

/**
 * Where the state of a pool lies: `<state>/pools/<pool-uuid>/…`, by UUID because names are reused. Only the metadata
 * of the pool that is named `uvtool` lies where uvtool looks for it.
 *
 * @throws FailureError when the pool's UUID is not one: it becomes a part of a path.
 */
export function poolStatePaths(options: PoolStateOptions): PoolStatePaths {
  const { stateDir, pool, uvtoolMetadataDir = UVTOOL_METADATA_DIR } = options;
  const uuid = pool.uuid.toLowerCase();
  if (!UUID.test(uuid)) throw new FailureError(`cannot keep state about pool '${pool.name}': '${uuid}' is not a UUID`);
  const root = join(stateDir, 'pools', uuid);
  return {
    root,
    records: join(root, 'records'),
    journal: join(root, 'journal'),
    lock: join(root, 'lock'),
    gate: join(root, 'gate'),
    metadata: options.metadataDir ?? (pool.name === UVTOOL_POOL ? uvtoolMetadataDir : join(root, 'metadata')),
    leases: join(root, 'leases'),
    tasks: join(root, 'tasks'),
    sources: join(root, 'sources'),
  };
}

/**
 * Makes the directories of a pool's state, each private, from the state directory down. The metadata directory is not
 * among them: it may be uvtool's, and the first metadata file makes it.
 *
 * @param uid the effective user of this process
 * @throws IntegrityError when one of them could be tampered with; NoSpaceError, FailureError when one cannot be made.
 */
export async function ensurePoolStateDirs(paths: PoolStatePaths, uid: number): Promise<void> {
  const { root, records, leases, tasks, sources } = paths;
  for (const dir of [join(root, '../..'), join(root, '..'), root, records, leases, tasks, sources]) {
    await ensurePrivateDir(dir, { uid });
  }
}

/** Where state lies by default: `/var/lib/poolkeeper` for root, `$XDG_STATE_HOME/poolkeeper` otherwise. */
export function defaultStateDir(env: Environment, uid: number): string {
  return uid === 0 ? '/var/lib/poolkeeper' : join(xdgDir(env, 'XDG_STATE_HOME', '.local/state'), 'poolkeeper');
}

/** Where the cache lies by default: `/var/cache/poolkeeper` for root, `$XDG_CACHE_HOME/poolkeeper` otherwise. */
export function defaultCacheDir(env: Environment, uid: number): string {
  return uid === 0 ? '/var/cache/poolkeeper' : join(xdgDir(env, 'XDG_CACHE_HOME', '.cache'), 'poolkeeper');
}

/** The XDG Base Directory Specification says that relative paths are invalid and to be ignored. */
function xdgDir(env: Environment, variable: string, fallback: string): string {
  const dir = env[variable] ?? '';
  if (isAbsolute(dir)) return dir;
  const home = env['HOME'] ?? '';
  if (isAbsolute(home)) return join(home, fallback);
  throw new UsageError(`cannot tell where to keep files: neither ${variable} nor HOME is an absolute path`, {
    hint: `set ${variable} or HOME`,
  });
}
