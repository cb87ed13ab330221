import { closeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { LockedError } from '../errors.ts';
import type { FlockMode } from './flock.ts';
import { tryLockFile } from './lock-file.ts';

export interface GateOptions {
  readonly signal: AbortSignal;
  /** How long to wait for the other side, in milliseconds. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 60_000;
const RETRY_MS = 5;

/**
 * Passes the gate between those who take leases and the one who deletes. Who takes a lease is inside with others
 * (`shared`) while it looks whether its volume is there and writes the lease. The sweep is inside alone (`exclusive`) from
 * its last look at what is needed until its last deletion. So it sees a lease, or the other finds the volume gone.
 *
 * Order of locks: the pool's lock, then its gate. Who takes a lease needs no pool lock, and nobody is inside two gates.
 *
 * @throws LockedError when the other side is inside for longer than `patienceMs`.
 */
export async function withGate<T>(
  path: string,
  mode: FlockMode,
  { signal, patienceMs = PATIENCE_MS }: GateOptions,
  use: () => Promise<T>,
): Promise<T> {
  const fd = await enter(path, mode, { signal, patienceMs });
  try {
    return await use();
  } finally {
    closeSync(fd);
  }
}

async function enter(path: string, mode: FlockMode, { signal, patienceMs }: Required<GateOptions>): Promise<number> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const fd = tryLockFile(path, mode);
    if (fd !== undefined) return fd;
    if (performance.now() >= deadline) throw lockedError(mode);
    await delay(RETRY_MS, undefined, { signal }).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw cause;
    });
  }
}

function lockedError(mode: FlockMode): LockedError {
  return mode === 'shared'
    ? new LockedError('cannot take a lease: a sweep is deleting volumes of the pool', {
        hint: 'try again when it is done',
      })
    : new LockedError('cannot delete: leases of the pool are being taken all the time', { hint: 'try again later' });
}
