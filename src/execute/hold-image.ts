import { randomBytes } from 'node:crypto';
import { commandText, type Lease } from '../core/lease.ts';
import { IntegrityError } from '../errors.ts';
import type { Volume } from '../libvirt/volume.ts';
import { withGate } from '../state/gate.ts';
import { readHostMoment, readPidNamespace, readProcessStart } from '../state/host-moment.ts';
import { removeLease, writeLease } from '../state/leases.ts';
import { ensurePoolStateDirs, type PoolStatePaths } from '../state/paths.ts';

export interface LeaseRequest {
  readonly paths: PoolStatePaths;
  /** What it is held for. Only the program's name is written down. */
  readonly command: readonly string[];
  /** How long the lease is promised for. */
  readonly ttlMs: number;
  readonly now: number;
  readonly pid: number;
  readonly uid: number;
  readonly signal: AbortSignal;
  /** Finds the volume, and refuses one that must not be used. Called when no sweep can delete it. */
  choose(this: void): Promise<Volume>;
}

/** A volume that stays until the lease ends. */
export interface HeldImage {
  readonly lease: Lease;
  readonly volume: Volume;
}

/**
 * Holds a volume for the time of `use`. Crash order: choice and lease happen inside the pool's gate, so a sweep that comes
 * later sees the lease, and one that came earlier left no volume to choose. Who dies inside `use` leaves a lease that
 * expires: what it started may still run.
 *
 * @throws LockedError when a sweep takes too long; whatever `choose` and `use` throw.
 */
export async function withHeldImage<T>(request: LeaseRequest, use: (held: HeldImage) => Promise<T>): Promise<T> {
  const { paths, uid, signal } = request;
  await ensurePoolStateDirs(paths, uid);
  const held = await withGate(paths.gate, 'shared', { signal }, () => takeLease(request));
  try {
    return await use(held);
  } finally {
    await removeLease(paths.leases, held.lease.id);
  }
}

async function takeLease({ paths, command, ttlMs, now, pid, choose }: LeaseRequest): Promise<HeldImage> {
  const volume = await choose();
  const moment = await readHostMoment(now);
  const processStart = await readProcessStart(pid);
  if (processStart === undefined) throw new IntegrityError('the kernel does not tell when this process started');
  const lease: Lease = {
    id: randomBytes(4).toString('hex'),
    volumeName: volume.name,
    command: commandText(command),
    pid,
    processStart,
    pidNamespace: readPidNamespace(),
    host: moment.host,
    bootId: moment.bootId,
    createdAt: now,
    expiresAt: now + ttlMs,
    createdAtUptime: moment.uptime,
  };
  await writeLease(paths.leases, lease, moment);
  return { lease, volume };
}
