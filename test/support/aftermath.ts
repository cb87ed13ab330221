import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ImageRecord } from '../../src/core/record.ts';
import type { OpenIntent } from '../../src/core/journal.ts';
import { readOpenIntents } from '../../src/state/journal.ts';
import { readRecords } from '../../src/state/records.ts';
import type { World } from './world.ts';

/** What a run leaves behind, without what differs from run to run. */
export interface Aftermath {
  /** SHA-256 of the content, by volume name. */
  readonly volumes: Readonly<Record<string, string>>;
  /** By file name. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly records: Readonly<Record<string, Pick<ImageRecord, 'status' | 'tags' | 'provenance'>>>;
}

/** Looks at pool, metadata and records of a host. */
export async function aftermathOf(world: World): Promise<Aftermath> {
  const volumes: [string, string][] = [];
  for (const name of await world.volumes()) volumes.push([name, await sha256Of(join(world.poolPath, name))]);
  const metadata: [string, string][] = [];
  for (const name of await filesIn(world.metadata))
    metadata.push([name, await readFile(join(world.metadata, name), 'utf8')]);
  const { records } = await readRecords(join(await stateOf(world), 'records'));
  const known = [...records].map(([name, { status, tags, provenance }]) => [name, { status, tags, provenance }]);
  return {
    volumes: Object.fromEntries(volumes),
    metadata: Object.fromEntries(metadata),
    records: Object.fromEntries(known),
  };
}

/** The state directory of the host's only pool. */
export async function stateOf(world: World): Promise<string> {
  const pools = join(world.root, 'state/pools');
  const [uuid = ''] = await readdir(pools).catch(() => []);
  return join(pools, uuid);
}

/** What the journal of the host's only pool says is under way. */
export async function openIntentsOf(world: World): Promise<readonly OpenIntent[]> {
  return readOpenIntents(join(await stateOf(world), 'journal'));
}

export async function sha256Of(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/** Waits for something that another process brings about. */
export async function until(holds: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error('what was waited for did not happen');
    await delay(5);
  }
}

/** Directories are left out: uvtool does not look into them, and a killed run leaves its staging directory. */
async function filesIn(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}
