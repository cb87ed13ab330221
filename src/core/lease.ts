/** The promise that a volume stays while a command works with it. */
export interface Lease {
  readonly id: string;
  readonly volumeName: string;
  /** What it is held for, as the user would know it: a program without its arguments, which may hold secrets. */
  readonly command: string;
  /** The process that took it, and when that started, in ticks since boot: process numbers are used again. */
  readonly pid: number;
  readonly processStart: number;
  readonly host: string;
  readonly bootId: string;
  /** In milliseconds since the epoch. */
  readonly createdAt: number;
  readonly expiresAt: number;
  /** How long the host had been up when the lease was taken, in milliseconds. */
  readonly createdAtUptime: number;
}

/** A moment on one host. */
export interface HostMoment {
  readonly host: string;
  /** Another one after each boot. */
  readonly bootId: string;
  /** In milliseconds since the boot. */
  readonly uptime: number;
  /** In milliseconds since the epoch. */
  readonly now: number;
}

/** The longest that a lease is promised for: a forgotten one must not keep a volume for ever. */
export const LONGEST_LEASE_MS = 86_400_000;

/**
 * Whether a lease still counts, or what ended it. On the host that it was taken on, time is counted from its boot, so that
 * a clock that is set forward ends no lease early; on others only the clock can tell.
 */
export function leaseState(lease: Lease, moment: HostMoment): 'live' | 'expired' | 'rebooted' {
  const promised = lease.expiresAt - lease.createdAt;
  if (lease.host !== moment.host) return moment.now < lease.expiresAt ? 'live' : 'expired';
  if (lease.bootId !== moment.bootId) return 'rebooted';
  return moment.uptime - lease.createdAtUptime < promised ? 'live' : 'expired';
}

/** A command as a lease names it. */
export function commandText([program = '', ...rest]: readonly string[]): string {
  const name = program.slice(program.lastIndexOf('/') + 1).slice(0, 64);
  return rest.length > 0 ? `${name} …` : name;
}
