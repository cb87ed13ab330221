import { closeSync, constants as files, openSync } from 'node:fs';
import { constants } from 'node:os';
import { IncompleteViewError, InUseError } from '../errors.ts';
import { loadKoffi } from '../load-koffi.ts';
import { askOpenBy, type OpenAnswer } from '../util/kernel.ts';

/**
 * QEMU's lock bytes in an image, of which one open file locks those that it uses and those that it denies to others:
 * `RAW_LOCK_PERM_BASE`, `RAW_LOCK_SHARED_BASE` in block/file-posix.c, then the bits of `BLK_PERM_*` in
 * include/block/block-common.h.
 */
const USED = 100;
const DENIED = 200;
const READ = 0;
/** Writing, writing the same again, resizing. */
const CHANGES = { first: 1, count: 3 };
const ALL = 4;

/** fcntl(2) and its `struct flock`, which is the same on all 64-bit Linux. */
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const LOCK_TYPE = { read: 0, write: 1, none: 2 } as const;
const FLOCK_BYTES = 32;

const { EAGAIN, EACCES } = constants.errno;

/**
 * Keeps QEMU from opening an image, in the way that QEMU programs do so among themselves: whoever starts one meanwhile, it
 * fails and changes nothing. At first only from writing to it. It lasts until it is disposed of, or this process ends.
 */
export class ImageLock implements Disposable {
  readonly #fd: number;
  readonly #label: string;

  private constructor(fd: number, label: string) {
    this.#fd = fd;
    this.#label = label;
  }

  /**
   * @param label what the user calls the image.
   * @throws InUseError when some program of QEMU's has it open for writing; IncompleteViewError when it cannot be opened, so
   * that nobody can tell.
   */
  static take(path: string, label: string): ImageLock {
    const lock = new ImageLock(openImage(path, label), label);
    try {
      lock.#deny(CHANGES.first, CHANGES.count);
      return lock;
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /** Keeps QEMU from reading it as well. @throws InUseError when some program of QEMU's has it open. */
  denyReading(): void {
    this.#deny(READ, ALL);
  }

  /** Asks the kernel whether anybody but this process has the image open, in whatever way. */
  ask(): OpenAnswer {
    return askOpenBy(this.#fd, 'write');
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** First denied, then looked whether somebody was quicker; who comes after that sees it denied. */
  #deny(first: number, count: number): void {
    this.#fcntl(F_OFD_SETLK, LOCK_TYPE.read, { first: DENIED + first, count });
    const found = this.#fcntl(F_OFD_GETLK, LOCK_TYPE.write, { first: USED + first, count });
    if (found !== LOCK_TYPE.none) throw inUse(this.#label);
  }

  /** @returns the type of the lock that was found. Where a file system knows no locks, QEMU does without as well. */
  #fcntl(command: number, type: number, { first, count }: { readonly first: number; readonly count: number }): number {
    const flock = Buffer.alloc(FLOCK_BYTES);
    flock.writeInt16LE(type, 0);
    flock.writeBigInt64LE(BigInt(first), 8);
    flock.writeBigInt64LE(BigInt(count), 16);
    const koffi = loadKoffi();
    const fcntl = koffi.load('libc.so.6').func('int fcntl(int fd, int command, ...)') as (...args: unknown[]) => number;
    if (fcntl(this.#fd, command, 'void *', flock) === 0) return flock.readInt16LE(0);
    if (koffi.errno() === EAGAIN || koffi.errno() === EACCES) throw inUse(this.#label);
    return LOCK_TYPE.none;
  }
}

function openImage(path: string, label: string): number {
  try {
    return openSync(path, files.O_RDONLY | files.O_NOFOLLOW | files.O_NONBLOCK);
  } catch (cause) {
    throw new IncompleteViewError(`cannot tell whether image ${label} is in use: ${String(cause)}`, {
      cause,
      hint: 'run poolkeeper as root, or as the user who owns the image',
    });
  }
}

function inUse(label: string): InUseError {
  return new InUseError(`cannot change image ${label}: some program of QEMU's has it open`, {
    hint: 'end that, then run again',
  });
}
