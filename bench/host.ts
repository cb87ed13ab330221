import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { encodeMetadataName } from '../src/core/identity.ts';
import { createQcow2, domainXml } from '../test/support/qemu.ts';
import { World } from '../test/support/world.ts';
import {
  CONTENT_ID,
  indexDocument,
  productName,
  productsDocument,
  REAL_FILTERS,
  type Tier,
} from './products-document.ts';
import { describeImage, writeRandomImage } from './random-image.ts';

const run = promisify(execFile);

/** Of the one real image, below the mirror. */
export const IMAGE_PATH = 'server/image.img';

/** More than anybody reads of a qcow2 file whose content is not wanted. */
export const HEADER_BYTES = 4096;

/** Gives a private host to `use`, and takes it down however that ends. */
export async function withHost<T>(use: (world: World) => Promise<T>): Promise<T> {
  const world = await World.start();
  try {
    await world.createPool();
    return await use(world);
  } finally {
    await world.stop();
  }
}

/** Publishes a signed stream of that size, in which one product is a real image. */
export async function publish(world: World, tier: Tier, contentBytes: number): Promise<number> {
  const { mirror, key } = world;
  await mkdir(join(mirror, 'streams/v1'), { recursive: true });
  await mkdir(join(mirror, 'server'), { recursive: true });
  await writeRandomImage(join(mirror, IMAGE_PATH), contentBytes);
  const image = await describeImage(mirror, IMAGE_PATH);
  const productsPath = `streams/v1/${CONTENT_ID}.sjson`;
  const documents = {
    [productsPath]: productsDocument(tier, image),
    'streams/v1/index.sjson': indexDocument(productsPath),
  };
  for (const [path, document] of Object.entries(documents)) {
    const signed = await key.home.clearsign(JSON.stringify(document, undefined, 1), { keys: [key] });
    await writeFile(join(mirror, path), signed);
  }
  return image.sizeBytes;
}

/** The arguments of a sync of the real product from the host's own stream. */
export function syncArguments(world: World): readonly string[] {
  const source = ['--source', world.server.url, '--keyring', world.keyring];
  return ['sync', ...REAL_FILTERS, ...source, '--quiet', ...world.options];
}

/** Fills the pool with what `uvt-kvm create` leaves: for each domain an overlay on `base` and a disk of its own. */
export async function addDomains(world: World, count: number, base: string): Promise<void> {
  const indexes = Array.from({ length: count }, (_, index) => index);
  await copyVolumes(world, { names: indexes.map((index) => `domain${index}.qcow`), backing: base });
  await copyVolumes(world, { names: indexes.map((index) => `domain${index}-data.qcow`) });
  await world.libvirtd.virsh('pool-refresh', 'uvtool');
  const folder = join(world.root, 'domains');
  await mkdir(folder);
  for (const index of indexes) {
    const disks = ['', '-data'].map((suffix) => ({ path: join(world.poolPath, `domain${index}${suffix}.qcow`) }));
    await writeFile(join(folder, `${index}.xml`), domainXml({ name: `domain${index}`, disks }));
  }
  await virshBatch(
    world,
    indexes.map((index) => `define ${join(folder, `${index}.xml`)}`),
  );
}

/** Puts volumes and their metadata files into the pool, as if they had been synced. */
export async function addImages(world: World, count: number): Promise<void> {
  const identities = Array.from({ length: count }, (_, index) => ({
    product: productName(`${index}.04`, 'amd64'),
    version: '20240821',
  }));
  await mkdir(world.metadata, { recursive: true });
  await copyVolumes(world, { names: identities.map(encodeMetadataName) });
  for (const identity of identities) {
    const { product: product_name, version: version_name } = identity;
    const tags = { release: `r${product_name.split(':')[2]}`, arch: 'amd64', label: 'release', ftype: 'disk1.img' };
    const text = JSON.stringify({ ...tags, product_name, version_name }, undefined, 4);
    await writeFile(join(world.metadata, encodeMetadataName(identity)), text);
  }
  await world.libvirtd.virsh('pool-refresh', 'uvtool');
}

/** Makes many equal qcow2 files in the pool, from one that qemu-img made. Nobody reads more than their header. */
async function copyVolumes(
  world: World,
  { names, backing }: { readonly names: readonly string[]; readonly backing?: string },
): Promise<void> {
  const template = join(world.root, 'template.qcow');
  await createQcow2(template, { sizeBytes: 2 ** 30, ...(backing === undefined ? {} : { backing }) });
  const bytes = (await readFile(template)).subarray(0, HEADER_BYTES);
  for (const name of names) {
    const path = join(world.poolPath, name);
    await writeFile(path, bytes);
    await world.libvirtd.give(path);
  }
}

/** One virsh for many commands: starting it costs more than most of them. */
async function virshBatch(world: World, commands: readonly string[]): Promise<void> {
  const script = join(world.root, 'virsh-script');
  await writeFile(script, `${commands.join('\n')}\n`);
  await run('sh', ['-c', 'exec virsh -q -c "$0" < "$1"', world.libvirtd.uri, script], { maxBuffer: 2 ** 26 });
}
