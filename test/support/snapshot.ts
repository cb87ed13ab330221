import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { World } from './world.ts';

const run = promisify(execFile);

/** A moment that a host can be taken back to. */
export interface Snapshot {
  /** Makes pool, metadata, state and mirror what they were, and removes all domains. */
  rewind(): Promise<void>;
}

/** Keeps a copy of all that lasts on a host but the cache. */
export async function takeSnapshot(world: World): Promise<Snapshot> {
  const copy = await mkdtemp(join(world.root, 'snapshot-'));
  const places = [join(world.root, 'state'), world.metadata, world.poolPath, world.mirror];
  for (const path of places) await run('cp', ['-a', path, join(copy, basename(path))]);
  return {
    rewind: async () => {
      const domains = await world.libvirtd.virsh('list', '--all', '--name');
      for (const name of domains.split('\n').filter((line) => line !== ''))
        await world.libvirtd.virsh('undefine', name);
      await world.dropTrash();
      for (const path of places) {
        await rm(path, { recursive: true, force: true });
        await run('cp', ['-a', join(copy, basename(path)), path]);
      }
      world.server.clearFaults();
      await world.libvirtd.virsh('pool-refresh', 'uvtool');
    },
  };
}
