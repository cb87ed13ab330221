import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const HOLDER = fileURLToPath(new URL('../../../test/support/holder.py', import.meta.url));
const SANDBOX = fileURLToPath(new URL('../../../test/support/unit-sandbox.py', import.meta.url));
const UNIT = new URL('../../../packaging/poolkeeper-sync.service', import.meta.url);
/** Debian's own: shims of version managers lie where only root may look. */
const PYTHON = '/usr/bin/python3';

/** File systems that can be made on a loop device, and the least number of MiB that their mkfs accepts. */
const DISK_MIB = { ext4: 16, xfs: 320, btrfs: 128 } as const;

export type DiskKind = keyof typeof DISK_MIB;

/**
 * Ways in which somebody has a file open.
 * - `process`: by its own name
 * - `hard link`: a process, by another name of the file outside of the pool
 * - `mapped`: mapped into memory, with the descriptor closed, by a name outside of the pool
 * - `in flight`: the descriptor is in a socket and in no process
 * - `namespace`: by a bind mount in another mount namespace
 * - `overlay`: by an overlay mount in another mount namespace, whose lower directory is the folder of the file
 * - `loop`: a loop device, by another name of the file outside of the pool
 */
export const HOLDERS = ['process', 'hard link', 'mapped', 'in flight', 'namespace', 'overlay', 'loop'] as const;

export type HolderKind = (typeof HOLDERS)[number];

/** A second user, as whom programs can be started: `games`, whom every Debian system has. libvirt wants an account. */
export const SECOND_USER = { uid: 5, gid: 60 } as const;

/** Something that was done to this host and can be undone before the test ends. */
export interface Undoable {
  /** Undoes it; a second call does nothing. */
  undo(): Promise<void>;
}

/** A file system of a test's own, on a loop device. */
export interface LoopDisk extends Undoable {
  readonly kind: DiskKind;
  /** The file that holds it. */
  readonly image: string;
  /** Mounts it again, where it was or somewhere else. */
  mount(at?: string): Promise<void>;
  /** Unmounts it; `lazy` lets those go on who have files of it open. */
  unmount(how?: 'lazy'): Promise<void>;
}

/** Loop device on a file. */
export interface LoopDevice extends Undoable {
  readonly device: string;
}

/**
 * Does things to this host that only root can do, and undoes all of them: mounts, loop devices, holders of files. One for
 * a suite; call `undo` in an `after` hook, before the directories are removed.
 */
export class HostTricks {
  readonly #done: (() => Promise<void>)[] = [];

  /** Undoes everything that is not undone yet, the last first; goes on when something fails, and throws at the end. */
  async undo(): Promise<void> {
    const failures: unknown[] = [];
    for (let last = this.#done.pop(); last !== undefined; last = this.#done.pop()) {
      await last().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
  }

  /** Makes a file system in a new file and mounts it. Its root belongs to root. */
  async disk(kind: DiskKind, image: string, at: string, options: readonly string[] = []): Promise<LoopDisk> {
    await writeFile(image, '');
    await truncate(image, DISK_MIB[kind] * 2 ** 20);
    await run(`mkfs.${kind}`, ['-q', ...options, image]);
    let mounted: string | undefined;
    const unmount = async (how?: 'lazy'): Promise<void> => {
      if (mounted === undefined) return;
      await run('umount', how === 'lazy' ? ['-l', mounted] : [mounted]);
      mounted = undefined;
    };
    const mount = async (where = at): Promise<void> => {
      await mkdir(where, { recursive: true });
      await run('mount', ['-o', 'loop', image, where]);
      mounted = where;
    };
    await mount();
    // At the end of a test nobody may be kept waiting by what it left open.
    return { kind, image, mount, unmount, undo: this.#remember(() => unmount('lazy')) };
  }

  /** Mounts a file system in memory. */
  async tmpfs(at: string, sizeKib = 16_384): Promise<Undoable> {
    return this.#mount(at, ['-t', 'tmpfs', '-o', `size=${sizeKib}k,mode=755`, 'poolkeeper-test']);
  }

  /** Shows a folder, or a file, at a second place. */
  async bind(from: string, at: string): Promise<Undoable> {
    return this.#mount(at, ['--bind', from]);
  }

  /** Shows a folder through overlayfs; what is written there goes into `work/upper`. */
  async overlay(lower: string, work: string, at: string): Promise<Undoable> {
    const [upper, inner] = [join(work, 'upper'), join(work, 'work')];
    for (const path of [upper, inner]) await mkdir(path, { recursive: true });
    const options = `lowerdir=${lower},upperdir=${upper},workdir=${inner}`;
    return this.#mount(at, ['-t', 'overlay', '-o', options, 'poolkeeper-test']);
  }

  /** Shows a folder through a FUSE file system, which other users may use too. */
  async fuse(from: string, at: string): Promise<Undoable> {
    await mkdir(at, { recursive: true });
    await run('bindfs', ['-o', 'allow_other', from, at]);
    return { undo: this.#remember(() => run('umount', [at]).then(nothing)) };
  }

  /** Attaches a loop device to a file. */
  async loop(file: string): Promise<LoopDevice> {
    const { stdout } = await run('losetup', ['--find', '--show', '--read-only', file]);
    const device = stdout.trim();
    return { device, undo: this.#remember(() => run('losetup', ['--detach', device]).then(nothing)) };
  }

  /**
   * Has a file held open, until `undo`.
   *
   * @param work a directory outside of every pool, on the file system of the file; the holder makes its own folder there.
   */
  async hold(kind: HolderKind, file: string, work: string): Promise<Undoable> {
    const own = join(work, `holder-${this.#done.length}`);
    await mkdir(own, { recursive: true });
    const direct = [PYTHON, HOLDER, kind, file, own];
    const needsNamespace = kind === 'namespace' || kind === 'overlay';
    const [command = '', ...words] = needsNamespace ? inMountNamespace(direct) : direct;
    const holder = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    const undo = this.#remember(async () => {
      await endOf(holder);
      await rm(own, { recursive: true, force: true });
    });
    await firstLine(holder, kind);
    return { undo };
  }

  /** Remembers what a test has to undo and does it once, however often it is asked to. */
  #remember(undo: () => Promise<void>): () => Promise<void> {
    let isDone = false;
    const undoOnce = async (): Promise<void> => {
      if (isDone) return;
      isDone = true;
      await undo();
    };
    this.#done.push(undoOnce);
    return undoOnce;
  }

  async #mount(at: string, words: readonly string[]): Promise<Undoable> {
    await mkdir(at, { recursive: true }).catch(nothing);
    await run('mount', [...words, at]);
    return { undo: this.#remember(() => run('umount', ['-l', at]).then(nothing)) };
  }
}

/** The words that start a command in a mount namespace of its own. */
export function inMountNamespace(command: readonly string[]): readonly string[] {
  return ['unshare', '--mount', '--propagation', 'private', ...command];
}

/** The words that start a command as another user. */
export function asUser(
  { uid, gid, groups = [] }: { readonly uid: number; readonly gid: number; readonly groups?: readonly number[] },
  command: readonly string[],
): readonly string[] {
  const more = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, more, ...command];
}

/**
 * The words that start a command with the restrictions of `packaging/poolkeeper-sync.service`: its capabilities, system
 * calls, read-only places and umask, in a mount namespace of its own. What takes a cgroup (devices) or an address family
 * away is not imitated.
 *
 * @param writable the places that stand for the unit's own directories, where a unit that makes all else read-only may write.
 */
export async function inUnit(command: readonly string[], writable: readonly string[] = []): Promise<readonly string[]> {
  const settings = unitSettings(await readFile(UNIT, 'utf8'));
  const capabilities = settings('CapabilityBoundingSet').map((name) => `+${name.replace(/^CAP_/, '').toLowerCase()}`);
  const plan = {
    systemCalls: settings('SystemCallFilter'),
    protectSystem: settings('ProtectSystem')[0] ?? 'no',
    protectHome: settings('ProtectHome')[0] ?? 'no',
    umask: settings('UMask')[0] ?? '0022',
    writable: [...settings('ReadWritePaths').map((path) => path.replace(/^[-+]+/, '')), ...writable],
  };
  const bounding = ['-all', ...capabilities].join(',');
  const privileges = ['setpriv', '--no-new-privs', `--inh-caps=${bounding}`, `--bounding-set=${bounding}`];
  return inMountNamespace([PYTHON, SANDBOX, JSON.stringify(plan), ...privileges, ...command]);
}

/** Lets everybody connect to a private libvirtd, as a system daemon lets root. */
export async function openSocket(libvirtdRoot: string): Promise<void> {
  for (const path of ['run', 'run/libvirt']) await chmod(join(libvirtdRoot, path), 0o755);
  await chmod(join(libvirtdRoot, 'run/libvirt/libvirt-sock'), 0o777);
}

/** Reads the words of a setting, wherever and however often it stands. */
function unitSettings(text: string): (name: string) => readonly string[] {
  const lines = text.split('\n').flatMap((line) => /^(\w+)=(.*)$/.exec(line)?.slice(1, 3) ?? []);
  return (name) => {
    const values = lines.flatMap((value, index) => (index % 2 === 1 && lines[index - 1] === name ? [value] : []));
    return values.flatMap((value) => value.split(/\s+/)).filter((word) => word !== '');
  };
}

async function firstLine(child: ChildProcess, what: string): Promise<void> {
  const { stdout } = child;
  if (stdout === null) throw new Error('a holder without output');
  const ended = once(child, 'exit').then(([status]) => `it ended with status ${status}`);
  const answer = await Promise.race([once(stdout, 'data').then(String), ended]);
  if (answer.trim() !== 'holds') throw new Error(`cannot hold a file by '${what}': ${answer}`);
}

/** A holder ends when its standard input does; it undoes its own mounts and devices. */
async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.stdin?.end();
  await exit;
}

function nothing(): void {}
