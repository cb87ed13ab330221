import { join } from 'node:path';
import { encodeMetadataName } from '../../src/core/identity.ts';
import { localIdentity } from '../../src/core/local-image.ts';
import type { ImageRecord } from '../../src/core/record.ts';
import { ensurePoolStateDirs, poolStatePaths, type PoolStatePaths } from '../../src/state/paths.ts';
import { writeRecord } from '../../src/state/records.ts';
import { createQcow2 } from './qemu.ts';
import type { World } from './world.ts';

/** A persistent image in the pool of a host. */
export interface PersistentFixture {
  readonly volumeName: string;
  readonly path: string;
  readonly record: ImageRecord;
}

/** The state of a host's pool. */
export async function pathsOf(world: World): Promise<PoolStatePaths> {
  const uuid = (await world.libvirtd.virsh('pool-uuid', 'uvtool')).trim();
  const pool = { name: 'uvtool', uuid };
  return poolStatePaths({ stateDir: join(world.root, 'state'), pool, metadataDir: world.metadata });
}

/** Puts a persistent image of 4 MiB into the pool of a host, with its record. */
export async function addPersistent(
  world: World,
  name: string,
  backing?: { readonly backing: string },
): Promise<PersistentFixture> {
  const identity = localIdentity(name, '2026-11-25T20:15:00.000Z');
  const volumeName = encodeMetadataName(identity);
  const path = join(world.poolPath, volumeName);
  await createQcow2(path, { sizeBytes: 4 * 2 ** 20, ...backing });
  await world.libvirtd.give(path);
  await world.libvirtd.virsh('pool-refresh', 'uvtool');
  const paths = await pathsOf(world);
  await ensurePoolStateDirs(paths, process.geteuid?.() ?? 0);
  const now = Date.now();
  const nothing = {
    source: undefined,
    itemPath: undefined,
    sizeBytes: undefined,
    digest: undefined,
    signer: undefined,
  };
  const record: ImageRecord = {
    volumeName,
    identity,
    status: 'active',
    reason: undefined,
    provenance: { ...nothing, broughtBy: 'poolkeeper' },
    tags: {},
    times: { createdAt: now, statusSince: now, lastNeededAt: now },
    traits: { type: 'os', isPersistent: true },
  };
  await writeRecord(paths.records, record);
  return { volumeName, path, record };
}
