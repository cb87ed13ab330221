import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { decodeVolumeName, encodeMetadataName, type Identity } from '../../src/core/identity.ts';
import { inParallel } from '../../src/core/in-parallel.ts';
import type { ImageStatus } from '../../src/core/lifecycle.ts';
import type { ImageRecord, ImageTraits } from '../../src/core/record.ts';
import { ensurePoolStateDirs, type PoolStatePaths } from '../../src/state/paths.ts';
import { readRecords, writeRecord } from '../../src/state/records.ts';
import { qcow2Head } from '../unit/image-format/qcow2-image.ts';
import { pathsOf } from './persistent-image.ts';
import type { World } from './world.ts';

const DAY_MS = 86_400_000;
const IMAGE_BYTES = 2n ** 20n;
const WRITERS = 8;

/** A managed image to put into the pool of a host, without a source. */
export interface NewManagedImage {
  /** Names it; a product of a publisher that there is not. */
  readonly product: string;
  readonly version?: string;
  /** Default: it waits for its deletion, and has for thirty days. */
  readonly status?: ImageStatus;
  readonly reason?: string;
  /** Path of a qcow2 image that it stands on. */
  readonly backing?: string;
  readonly traits?: ImageTraits;
  readonly pin?: ImageRecord['pin'];
}

export interface ManagedImage {
  readonly identity: Identity;
  readonly volumeName: string;
  readonly path: string;
}

/** Identity, name and path of the volume that a managed image has in the pool of a host. */
export function managedImage(world: World, product: string, version = '1'): ManagedImage {
  const identity = { product: product.includes(':') ? product : `com.example:${product}`, version };
  const volumeName = encodeMetadataName(identity);
  return { identity, volumeName, path: join(world.poolPath, volumeName) };
}

/** Puts managed images into the pool of a host, with their records; libvirt is told once, at the end. */
export async function addManagedImages(
  world: World,
  images: readonly NewManagedImage[],
): Promise<readonly ManagedImage[]> {
  const paths = await statePaths(world);
  const made: ManagedImage[] = [];
  for (const image of images) made.push(managedImage(world, image.product, image.version));
  await inParallel([...images.entries()], WRITERS, async ([index, image]) => {
    const one = made[index];
    if (one === undefined) return;
    await writeImage(world, one.path, image.backing);
    await writeRecord(paths.records, recordOf(one, image, qcow2Bytes(image.backing)));
  });
  await world.libvirtd.virsh('pool-refresh', 'uvtool');
  return made;
}

/** Writes a record that waits for its deletion about every managed volume of these paths that has none yet. */
export async function addRecords(world: World, paths: readonly string[]): Promise<void> {
  const { records } = await statePaths(world);
  const known = (await readRecords(records)).records;
  await inParallel([...new Set(paths)], WRITERS, async (path) => {
    const volumeName = basename(path);
    const identity = decodeVolumeName(volumeName);
    if (identity !== undefined && !known.has(volumeName))
      await writeRecord(records, recordOf({ identity, volumeName, path }, { product: '' }, await readFile(path)));
  });
}

/** Writes an empty qcow2 image of 1 MiB, thirty days old, without the cost of a process. */
export async function writeImage(world: World, path: string, backing?: string): Promise<void> {
  await writeFile(path, qcow2Bytes(backing));
  await world.libvirtd.give(path);
  const then = new Date(Date.now() - 30 * DAY_MS);
  await utimes(path, then, then);
}

/** The bytes of an empty qcow2 image that QEMU opens and writes to: header, refcount table, refcount block, L1 table. */
function qcow2Bytes(backing = ''): Buffer {
  const name = Buffer.from(backing);
  const head = qcow2Head({
    virtualSizeBytes: IMAGE_BYTES,
    l1: { entries: 1, offset: 0x3_0000n },
    backing:
      backing === '' ? { offset: 0n, length: 0, name: '' } : { offset: 512n, length: name.length, name: backing },
    extensions: backing === '' ? [] : [[0xe2_79_2a_ca, 'qcow2']],
  });
  const refcountTable = Buffer.alloc(65_536);
  refcountTable.writeBigUInt64BE(0x2_0000n);
  const refcounts = Buffer.alloc(65_536);
  for (const cluster of [0, 1, 2, 3]) refcounts.writeUInt16BE(1, cluster * 2);
  return Buffer.concat([head, refcountTable, refcounts, Buffer.alloc(65_536)]);
}

/** Which of these files are there. */
export async function thoseThere<T extends { readonly path: string }>(images: readonly T[]): Promise<readonly T[]> {
  const there = await Promise.all(
    images.map(({ path }) =>
      stat(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return images.filter((_image, index) => there[index]);
}

async function statePaths(world: World): Promise<PoolStatePaths> {
  const paths = await pathsOf(world);
  await ensurePoolStateDirs(paths, process.geteuid?.() ?? 0);
  await mkdir(paths.metadata, { recursive: true });
  return paths;
}

function recordOf({ identity, volumeName }: ManagedImage, image: NewManagedImage, bytes: Buffer): ImageRecord {
  const then = Date.now() - 30 * DAY_MS;
  const { status = 'pending_delete', reason, traits, pin } = image;
  return {
    volumeName,
    identity,
    status,
    reason: reason ?? (status === 'killed' ? 'size' : undefined),
    provenance: {
      source: 'http://images.example/',
      itemPath: undefined,
      sizeBytes: BigInt(bytes.length),
      digest: { algorithm: 'sha256', hex: createHash('sha256').update(bytes).digest('hex') },
      signer: undefined,
      broughtBy: 'poolkeeper',
    },
    tags: {},
    times: { createdAt: then, statusSince: then, lastNeededAt: then },
    ...(traits === undefined ? {} : { traits }),
    ...(pin === undefined ? {} : { pin }),
  };
}
