import { type ClockReading, livedBetween } from './lived-time.ts';

/** The promise that a volume stays while a command works with it. */
export interface Lease {
  readonly id: string;
  readonly volumeName: string;
  /** What it is held for, as the user would know it: a program without its arguments, which may hold secrets. */
  readonly command: string;
  /** The process that took it, and when that started, in ticks since boot: process numbers are used again. */
  readonly pid: number;
  readonly processStart: number;
  /** Where that number means this process; `undefined`: version 0.1 took the lease. */
  readonly pidNamespace?: string | undefined;
  readonly host: string;
  readonly bootId: string;
  /** In milliseconds since the epoch. */
  readonly createdAt: number;
  readonly expiresAt: number;
  /** How long the host had been up when the lease was taken, in milliseconds. */
  readonly createdAtUptime: number;
}

/** A moment on one host. */
export interface HostMoment extends ClockReading {
  readonly host: string;
}

/** The longest that a lease is promised for: a forgotten one must not keep a volume for ever. */
export const LONGEST_LEASE_MS = 86_400_000;

/**
 * Whether a lease still counts, or what ended it. On the host that it was taken on, its time is the time that the host has
 * lived since, so that a clock that is set ends no lease early; on others only the clock can tell. A boot ends a lease early if
 * the host's own clock says that there was one, and the process is gone for certain: the name of a boot proves nothing.
 *
 * @param isProcessGone whether it is certain that the process that took it is not there any more.
 */
export function leaseState(lease: Lease, moment: HostMoment, isProcessGone: boolean): 'live' | 'expired' | 'rebooted' {
  const { host, createdAt, createdAtUptime, bootId, expiresAt } = lease;
  if (host !== moment.host) return moment.now < expiresAt ? 'live' : 'expired';
  const lived = livedBetween({ now: createdAt, uptime: createdAtUptime, bootId }, moment);
  if (lived >= expiresAt - createdAt) return 'expired';
  return isProcessGone && moment.uptime < createdAtUptime ? 'rebooted' : 'live';
}

/** A command as a lease names it. */
export function commandText([program = '', ...rest]: readonly string[]): string {
  const name = program.slice(program.lastIndexOf('/') + 1).slice(0, 64);
  return rest.length > 0 ? `${name} …` : name;
}
