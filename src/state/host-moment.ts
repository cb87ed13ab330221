import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { HostMoment } from '../core/lease.ts';
import { IntegrityError } from '../errors.ts';
import { fileError } from './file-error.ts';

/**
 * What time it is on this host, by its clock and since its boot.
 *
 * Source: proc(5), `/proc/sys/kernel/random/boot_id` and `/proc/uptime`.
 *
 * @throws FailureError, IntegrityError when the kernel does not tell.
 */
export async function readHostMoment(now: number): Promise<HostMoment> {
  const bootId = (await readKernelFile('/proc/sys/kernel/random/boot_id')).trim();
  const uptime = Number.parseFloat(await readKernelFile('/proc/uptime')) * 1000;
  if (bootId === '' || !Number.isFinite(uptime)) throw new IntegrityError('the kernel does not tell when it booted');
  return { host: hostname(), bootId, uptime: Math.round(uptime), now };
}

/**
 * When a process started, in clock ticks since boot; `undefined` when there is no such process.
 *
 * Source: proc(5), field 22 of `/proc/PID/stat`. The second field may hold anything, blanks and brackets included.
 */
export async function readProcessStart(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const start = status.slice(status.lastIndexOf(')') + 2).split(' ')[19];
  return start === undefined ? undefined : Number(start);
}

async function readKernelFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw fileError(`cannot read '${path}'`, cause);
  }
}
