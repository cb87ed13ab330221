import { closeSync, ftruncateSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { LockedError, PoolkeeperError } from '../errors.ts';
import { readFileBounded } from './atomic-file.ts';
import { attempt } from './listing.ts';
import { integerField, parseJsonObject, stringField } from './json-fields.ts';
import { tryLockFile } from './lock-file.ts';

const MAX_BYTES = 4096;
const OWNER_TRIES = 5;
const OWNER_DELAY_MS = 10;

/** Who holds a lock, for the message that others get. */
export interface LockOwner {
  /** As the user would know it, e.g. `poolkeeper sync`. */
  readonly command: string;
  readonly pid: number;
  readonly host: string;
  /** ISO 8601. */
  readonly since: string;
}

/** The exclusive right to change a pool's state, until it is released or the process ends. */
export class Lock {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Gives the right up. Once only. The file stays: removing it would let two processes lock two files. */
  release(): void {
    try {
      ftruncateSync(this.#fd);
    } finally {
      closeSync(this.#fd);
    }
  }
}

/**
 * Takes the lock on a pool's state, without waiting. What a dead holder left in the file does not count.
 *
 * @throws LockedError naming the holder; IntegrityError when `path` is no regular file; FailureError.
 */
export async function acquireLock(path: string, owner: LockOwner): Promise<Lock> {
  const fd = tryLockFile(path, 'exclusive');
  if (fd === undefined) throw await lockedError(path);
  try {
    ftruncateSync(fd);
    writeSync(fd, `${JSON.stringify(owner)}\n`, 0);
  } catch {
    // The lock holds without its text, and a full disk must not keep the one away who wants to clear it.
  }
  return new Lock(fd);
}

/**
 * Who says that it holds a lock, without asking for it: `undefined` when nobody does. A process that was killed has left
 * its name behind.
 *
 * @throws IntegrityError when the file is not a lock's; FailureError when it cannot be read.
 */
export async function readLockOwner(path: string): Promise<LockOwner | undefined> {
  const file = await readFileBounded(path, MAX_BYTES);
  return file === undefined || file.bytes.length === 0 ? undefined : readOwner(path);
}

async function lockedError(path: string): Promise<LockedError> {
  const owner = await patientOwner(path);
  const hint = 'wait until it is done, or stop it';
  if (owner === undefined || owner instanceof Error) {
    return new LockedError('pool state is locked by another process', { hint });
  }
  const { pid, host, since, command } = owner;
  return new LockedError(`pool state is locked by pid ${pid} on ${host} since ${since} (${command})`, { hint });
}

/** The holder writes its name a moment after it locks, so there may be none yet. */
async function patientOwner(path: string): Promise<LockOwner | PoolkeeperError | undefined> {
  for (let tries = 1; ; tries += 1) {
    const owner = await attempt(() => readOwner(path));
    if (tries === OWNER_TRIES || (owner !== undefined && !(owner instanceof PoolkeeperError))) return owner;
    await delay(OWNER_DELAY_MS);
  }
}

async function readOwner(path: string): Promise<LockOwner | undefined> {
  const file = await readFileBounded(path, MAX_BYTES);
  if (file === undefined) return undefined;
  const object = parseJsonObject(file.bytes, `lock file '${path}'`);
  return {
    command: stringField(object, 'command'),
    pid: integerField(object, 'pid'),
    host: stringField(object, 'host'),
    since: stringField(object, 'since'),
  };
}
