import { readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { HostMoment } from '../core/lease.ts';
import { IntegrityError } from '../errors.ts';
import { bootTimeMs, hasProcess } from '../util/kernel.ts';
import { fileError } from './file-error.ts';

/**
 * What time it is on this host, by its clock and since its boot. Containers may show an uptime of their own in `/proc`, so the
 * kernel's clock is asked.
 *
 * Source: proc(5), `/proc/sys/kernel/random/boot_id`.
 *
 * @throws FailureError, IntegrityError when the kernel does not tell.
 */
export async function readHostMoment(now: number, uptime = bootTimeMs()): Promise<HostMoment> {
  const bootId = (await readKernelFile('/proc/sys/kernel/random/boot_id')).trim();
  if (bootId === '') throw new IntegrityError('the kernel does not tell when it booted');
  return { host: hostname(), bootId, uptime, now };
}

/** A process as it was written down, to be found again. */
export interface NotedProcess {
  readonly pid: number;
  /** As `readProcessStart` gives it. */
  readonly processStart: number;
  /** As `readPidNamespace` gives it; `undefined`: not known. */
  readonly pidNamespace?: string | undefined;
}

/**
 * Whether a process of this host is still there. `unknown` if its number means something else here, as in a container, or if
 * the kernel does not show it to this user.
 *
 * Source: kill(2), pid_namespaces(7).
 */
export async function processState({
  pid,
  processStart,
  pidNamespace,
}: NotedProcess): Promise<'there' | 'gone' | 'unknown'> {
  if (pid < 1 || pidNamespace === undefined || pidNamespace !== readPidNamespace()) return 'unknown';
  if (!hasProcess(pid)) return 'gone';
  const start = await readProcessStart(pid);
  if (start === undefined) return 'unknown';
  return start === processStart ? 'there' : 'gone';
}

/** The namespace in which the numbers of processes mean what they mean here, e.g. `pid:[4026531836]`. */
export function readPidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch (cause) {
    throw fileError(`cannot read '/proc/self/ns/pid'`, cause);
  }
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
