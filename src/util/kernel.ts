import { constants as fsConstants, closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { loadKoffi } from '../load-koffi.ts';

// Calls of Linux that Node.js does not offer. Every one of them answers at once and runs on the calling thread.

/** An error of the kernel by its name, e.g. `EEXIST`. */
export class KernelError extends Error {
  readonly code: string;
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${syscall}: ${code}`);
    this.name = 'KernelError';
    this.code = code;
    this.syscall = syscall;
  }
}

/** fcntl(2), `linux/fcntl.h` */
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;

/** renameat2(2), `linux/fs.h` */
const RENAME_NOREPLACE = 1;

/** clock_gettime(2), `linux/time.h`: like a monotonic clock, and goes on while the machine sleeps. */
const CLOCK_BOOTTIME = 7;

interface Calls {
  fcntl(this: void, fd: number, command: number, type: 'int', argument: number): number;
  renameat2(this: void, fromDir: number, from: Buffer, toDir: number, to: Buffer, flags: number): number;
  kill(this: void, pid: number, signal: number): number;
  setfsuid(this: void, uid: number): number;
  setfsgid(this: void, gid: number): number;
  clockGettime(this: void, clock: number, time: BigInt64Array): number;
  errno(this: void): number;
}

let known: Calls | undefined;

function calls(): Calls {
  if (known !== undefined) return known;
  const koffi = loadKoffi();
  const libc = koffi.load('libc.so.6');
  known = {
    fcntl: libc.func('int fcntl(int fd, int command, ...)') as Calls['fcntl'],
    renameat2: libc.func(
      'int renameat2(int fromDir, const uint8_t *from, int toDir, const uint8_t *to, unsigned int flags)',
    ) as Calls['renameat2'],
    kill: libc.func('int kill(int pid, int signal)') as Calls['kill'],
    setfsuid: libc.func('int setfsuid(unsigned int uid)') as Calls['setfsuid'],
    setfsgid: libc.func('int setfsgid(unsigned int gid)') as Calls['setfsgid'],
    clockGettime: libc.func('int clock_gettime(int clock, _Out_ int64_t *time)') as Calls['clockGettime'],
    errno: () => koffi.errno(),
  };
  return known;
}

/**
 * What the kernel says of who has a file open: nobody, somebody, or that it cannot tell.
 * - `unknown`: this process may not ask (EACCES: neither owner nor CAP_LEASE), or the file system does not answer (EINVAL).
 */
export type OpenAnswer = { readonly is: 'free' | 'held' } | { readonly is: 'unknown'; readonly code: string };

/**
 * Asks whether anybody on this host has a file open, in any way: a process, a mapping, a descriptor in flight, a loop
 * device, another mount namespace or an overlay mount. A lease of the kind is taken and given back at once, so no later
 * `open` meets it. A handler for SIGIO must be installed, since its default action ends the program.
 *
 * Source: fcntl(2), "Leases": a write lease is granted only where no other open file description of the file exists, a read
 * lease only where none exists that can write.
 *
 * @param kind `write`: nobody at all; `read`: nobody who could write.
 * @throws the error of open(2).
 */
export function askOpen(path: string | Buffer, kind: 'write' | 'read'): OpenAnswer {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fsConstants;
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    return askOpenBy(fd, kind);
  } finally {
    closeSync(fd);
  }
}

/** As `askOpen`, of a file that this process has open itself: whether anybody else has. */
export function askOpenBy(fd: number, kind: 'write' | 'read'): OpenAnswer {
  const { fcntl, errno } = calls();
  if (fcntl(fd, F_SETLEASE, 'int', kind === 'write' ? F_WRLCK : F_RDLCK) === 0) {
    fcntl(fd, F_SETLEASE, 'int', F_UNLCK);
    return { is: 'free' };
  }
  const number = errno();
  if (number === constants.errno.EAGAIN) return { is: 'held' };
  return { is: 'unknown', code: getSystemErrorName(-number) };
}

/** A name in a folder that is open. */
export interface Place {
  /** Descriptor of the folder. */
  readonly dir: number;
  /** Byte by byte, without a slash. */
  readonly name: string | Buffer;
}

/**
 * Renames a file, never over another one.
 *
 * @throws KernelError: EEXIST when something has the new name, EXDEV between file systems or mounts, and so on.
 */
export function renameNoReplace(from: Place, to: Place): void {
  const { renameat2, errno } = calls();
  if (renameat2(from.dir, cString(from.name), to.dir, cString(to.name), RENAME_NOREPLACE) === 0) return;
  throw new KernelError('renameat2', errno());
}

/**
 * Does something with files as another user would: on this thread alone, and without root's rights. `act` must not wait,
 * or other work of the program would run in between.
 *
 * Source: setfsuid(2); user_namespaces aside, leaving 0 drops CAP_DAC_OVERRIDE, CAP_FOWNER and their kin, coming back restores
 * them (capabilities(7)).
 *
 * @throws KernelError EPERM when this process may not.
 */
export function asFileUser<T>({ uid, gid }: { readonly uid: number; readonly gid: number }, act: () => T): T {
  const { setfsuid, setfsgid } = calls();
  const gidBefore = setfsgid(gid);
  const uidBefore = setfsuid(uid);
  try {
    // These calls never fail, they only do nothing: the second one tells what the first one did.
    if (setfsgid(gid) !== gid || setfsuid(uid) !== uid) throw new KernelError('setfsuid', constants.errno.EPERM);
    return act();
  } finally {
    setfsuid(uidBefore);
    setfsgid(gidBefore);
  }
}

/** Whether there is a process of that number, whoever may signal it. Source: kill(2), signal 0. */
export function hasProcess(pid: number): boolean {
  const { kill, errno } = calls();
  return kill(pid, 0) === 0 || errno() !== constants.errno.ESRCH;
}

/** Milliseconds since this host booted, sleep included. */
export function bootTimeMs(): number {
  const time = new BigInt64Array(2);
  const { clockGettime, errno } = calls();
  if (clockGettime(CLOCK_BOOTTIME, time) !== 0) throw new KernelError('clock_gettime', errno());
  const [seconds = 0n, nanoseconds = 0n] = time;
  return Number(seconds) * 1000 + Math.floor(Number(nanoseconds) / 1_000_000);
}

function cString(name: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(name), Buffer.of(0)]);
}
