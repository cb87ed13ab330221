import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { FailureError, IntegrityError, UsageError } from '../errors.ts';

const SYSTEM_FILE = '/etc/poolkeeper/config.yaml';
const MAX_BYTES = 1024 * 1024;

/** By which no configuration is read at all. */
const NO_FILE = '/dev/null';

/** Who asks for the configuration, and how. */
export interface ConfigPlace {
  /** The file that was named on the command line. */
  readonly named: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The effective user of this process. */
  readonly uid: number;
}

/**
 * The configuration file to read: the one that was named, by option or environment; else that of the user; else that of
 * the host. `undefined` when there is none.
 */
export function findConfigFile({ named, env, cwd, uid }: ConfigPlace): string | undefined {
  const exported = env['POOLKEEPER_CONFIG'];
  const given = named ?? (exported === '' ? undefined : exported);
  if (given === NO_FILE) return undefined;
  if (given !== undefined) return resolve(cwd, given);
  const own = uid === 0 ? undefined : ownFile(env);
  return [own, SYSTEM_FILE].find((path) => path !== undefined && existsSync(path));
}

/** Where the configuration of a user other than root lies, as the XDG Base Directory Specification has it. */
function ownFile(env: ConfigPlace['env']): string | undefined {
  const [dir = '', home = ''] = [env['XDG_CONFIG_HOME'], env['HOME']];
  if (isAbsolute(dir)) return join(dir, 'poolkeeper/config.yaml');
  return isAbsolute(home) ? join(home, '.config/poolkeeper/config.yaml') : undefined;
}

/**
 * Reads a configuration file. A symbolic link is followed: configuration management makes them.
 *
 * @throws UsageError when it does not exist; IntegrityError when a stranger could have written it; FailureError.
 */
export function readConfigFile(path: string, uid: number): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  try {
    assertTrusted(path, fstatSync(descriptor), uid);
    return readFileSync(descriptor, 'utf8').replace(/^\uFEFF/, '');
  } finally {
    closeSync(descriptor);
  }
}

function unreadable(path: string, cause: unknown): Error {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new UsageError(`configuration '${path}' does not exist`, {
      cause,
      hint: 'check --config and POOLKEEPER_CONFIG, or leave them out to use the default',
    });
  return new FailureError(`cannot read configuration '${path}'${code === 'EACCES' ? ': permission denied' : ''}`, {
    cause,
    hint: 'check who may read it, or name another with --config; --config /dev/null goes without',
  });
}

function assertTrusted(path: string, stat: Stats, uid: number): void {
  if (!stat.isFile()) throw new UsageError(`configuration '${path}' is not a file`, { hint: 'name a file' });
  if (stat.size > MAX_BYTES)
    throw new UsageError(`configuration '${path}' is too large`, { hint: 'it may have 1 MiB; is it the right file?' });
  if (stat.uid !== uid && stat.uid !== 0)
    throw new IntegrityError(`cannot use configuration '${path}': it belongs to another user`, {
      hint: `look at what is in it, then run: chown ${uid} '${path}'`,
    });
  if ((stat.mode & 0o002) !== 0)
    throw new IntegrityError(`cannot use configuration '${path}': every user may write to it`, {
      hint: `look at what is in it, then run: chmod o-w '${path}'`,
    });
}
