import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

/** What a process took from its start to its end. */
export interface Sample {
  readonly wallMs: number;
  readonly stdout: string;
  /** Known of Node programs only. */
  readonly usage: Usage | undefined;
}

/** What `usage.cts` tells of its process. */
export interface Usage {
  /** User and system time of all threads. */
  readonly cpuMs: number;
  readonly peakRssBytes: number;
  /** What the process itself gave to file systems, temporary files included (`write_bytes` of proc(5)). */
  readonly writtenBytes: number;
}

const USAGE_HOOK = fileURLToPath(new URL('usage.cjs', import.meta.url));
export const PROGRAM = fileURLToPath(new URL('../../bin/poolkeeper.js', import.meta.url));

/** Runs a command once and measures it. @throws Error with what it printed when it fails. */
export async function measure(command: string, args: readonly string[]): Promise<Sample> {
  const start = process.hrtime.bigint();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const [stdout, stderr, usage] = [child.stdout, child.stderr, child.stdio[3]].map((stream) => readAll(stream));
  const [status] = await once(child, 'close');
  const wallMs = Number(process.hrtime.bigint() - start) / 1e6;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: status ${String(status)}: ${await stderr}`);
  const report = (await usage) ?? '';
  return { wallMs, stdout: (await stdout) ?? '', usage: report === '' ? undefined : parseUsage(report) };
}

/** Runs a Node program once and measures it. With BENCH_PROFILE=DIR it also leaves a CPU profile there. */
export function measureNode(...args: readonly string[]): Promise<Sample> {
  const profileDir = process.env['BENCH_PROFILE'];
  const profile = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  return measure(process.execPath, [...profile, '--require', USAGE_HOOK, ...args]);
}

/** Runs something several times, after once for nothing. */
export async function repeat<T>(runs: number, run: () => Promise<T>): Promise<readonly T[]> {
  await run();
  const results: T[] = [];
  for (let i = 0; i < runs; i++) results.push(await run());
  return results;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = NaN, high = NaN] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

export function medianWallMs(samples: readonly Sample[]): number {
  return median(samples.map(({ wallMs }) => wallMs));
}

async function readAll(stream: unknown): Promise<string | undefined> {
  return isReadable(stream) ? text(stream) : undefined;
}

function isReadable(stream: unknown): stream is Readable {
  return typeof stream === 'object' && stream !== null && Symbol.asyncIterator in stream;
}

function parseUsage(report: string): Usage {
  return JSON.parse(report) as Usage;
}
