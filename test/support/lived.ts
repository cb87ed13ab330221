import { readFile, writeFile } from 'node:fs/promises';
import { livedCountPath } from '../../src/state/lived-count.ts';
import { readHostMoment } from '../../src/state/host-moment.ts';
import type { LivedCount } from '../../src/core/lived-time.ts';

/** Lets a host have lived, and been counted on, since a time. */
export async function liveSince(stateDir: string, since: number, now = Date.now()): Promise<void> {
  const { uptime, bootId } = await readHostMoment(now);
  const count: LivedCount = { spans: [{ wall: since, lived: 0 }], last: { now, uptime, bootId, lived: now - since } };
  await writeFile(livedCountPath(stateDir), JSON.stringify({ formatVersion: 1, ...count }));
}

/** Lets so much time pass for the count of a host as if it had been up all the while. Records and files are moved by others. */
export async function letLive(stateDir: string, ms: number): Promise<void> {
  const path = livedCountPath(stateDir);
  const { spans, last } = JSON.parse(await readFile(path, 'utf8')) as LivedCount;
  const count: LivedCount = {
    spans: spans.map(({ wall, lived }) => ({ wall: wall - ms, lived })),
    last: { ...last, now: last.now - ms, uptime: last.uptime - ms },
  };
  await writeFile(path, JSON.stringify({ formatVersion: 1, ...count }));
}
