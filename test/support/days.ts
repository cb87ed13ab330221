import { lstat, lutimes, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { World } from './world.ts';

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/;
/** When a machine booted, and what a source said of its own documents, does not change because days pass. */
const FIXED_KEY = /boot|updated/i;
/** How long the host had been up: a day earlier it was a day less. */
const UPTIME_KEY = /uptime$/i;

/**
 * Lets days pass on a host whose clock nobody may set: all that it wrote down happened so much earlier. Times of files
 * (pool, trash, metadata, state, and `more`) and times in the books move back, and with them the count of the time that the
 * host has lived. The kernel's own time of change (ctime) stays, so nothing must wait by that alone.
 */
export async function passDays(world: World, days: number, more: readonly string[] = []): Promise<void> {
  const ms = days * DAY_MS;
  const state = join(world.root, 'state');
  const trash = (await readdir(world.libvirtd.root)).filter((name) => name.startsWith('.poolkeeper-'));
  for (const path of await filesBelow(state)) await rewrite(path, ms);
  const places = [state, world.metadata, world.poolPath, ...trash.map((name) => join(world.libvirtd.root, name))];
  for (const place of [...places, ...more]) for (const path of await filesBelow(place)) await ageFile(path, ms);
}

async function ageFile(path: string, ms: number): Promise<void> {
  const { atimeMs, mtimeMs } = await lstat(path);
  await lutimes(path, (atimeMs - ms) / 1000, (mtimeMs - ms) / 1000);
}

/** Rewrites a file that holds one JSON value, or one a line; any other is left as it is. */
async function rewrite(path: string, ms: number): Promise<void> {
  const text = await readFile(path, 'utf8');
  const whole = parse(text);
  const lines = whole === undefined ? text.split('\n').map((line) => [line, parse(line)] as const) : [];
  if (whole === undefined && lines.every(([, value]) => value === undefined)) return;
  const aged =
    whole === undefined
      ? lines.map(([line, value]) => (value === undefined ? line : JSON.stringify(earlier(value, ms)))).join('\n')
      : `${JSON.stringify(earlier(whole, ms), undefined, 2)}\n`;
  await writeFile(path, aged);
}

/** The same value, as it would have been written so much earlier. */
function earlier(value: unknown, ms: number, key = ''): unknown {
  if (FIXED_KEY.test(key)) return value;
  if (typeof value === 'number') return UPTIME_KEY.test(key) || isTime(value) ? value - ms : value;
  if (typeof value === 'string') return ISO_TIME.test(value) ? new Date(Date.parse(value) - ms).toISOString() : value;
  if (Array.isArray(value)) return value.map((one) => earlier(one, ms, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, earlier(one, ms, name)]));
}

function isTime(value: number): boolean {
  return Math.abs(value - Date.now()) < 5 * YEAR_MS;
}

function parse(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function filesBelow(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}
