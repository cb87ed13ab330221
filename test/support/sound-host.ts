import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageStatus } from '../../src/core/lifecycle.ts';
import { addManagedImages, managedImage, type NewManagedImage, writeImage } from './managed-images.ts';
import type { World } from './world.ts';

/** A file of a generated host. Which of them stand on which is a forest: `backing` is always made before. */
interface HostFile {
  readonly name: string;
  readonly path: string;
  /** A managed image of the pool, a foreign volume of it, a volume of the second pool, or no volume. */
  readonly kind: 'image' | 'foreign' | 'other pool' | 'outside';
  readonly backing: HostFile | undefined;
  /** Only of images. */
  readonly image?: Omit<NewManagedImage, 'backing'>;
}

/** A domain, and the file that it needs. */
interface HostDomain {
  readonly name: string;
  readonly devices: string;
  readonly os: string;
  readonly needs: HostFile | undefined;
}

/** A host on which everything is there and can be seen, and what the rules say of it. */
export interface SoundHost {
  readonly seed: number;
  readonly files: readonly HostFile[];
  readonly domains: readonly HostDomain[];
  /** Names of the images that must go, and of those that must stay, sorted. */
  readonly garbage: readonly string[];
  readonly needed: readonly string[];
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const OTHER_POOL = 'other';

/** Directories of a generated host beside the managed pool. */
const foldersOf = (world: World) => ({
  otherPool: join(world.libvirtd.root, 'other-images'),
  outside: join(world.libvirtd.root, 'vms'),
});

/** Defines the second pool of all generated hosts, once for a world. */
export async function prepareSoundHosts(world: World): Promise<void> {
  const { otherPool, outside } = foldersOf(world);
  for (const path of [otherPool, outside]) {
    await mkdir(path, { recursive: true });
    await world.libvirtd.give(path);
  }
  await world.libvirtd.virsh(`pool-define-as ${OTHER_POOL} dir --target ${otherPool}; pool-start ${OTHER_POOL}`);
}

/** Draws a host. The same seed draws the same host. */
export function drawSoundHost(world: World, seed: number): SoundHost {
  const random = randomOf(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const oneOf = <T>(values: readonly [T, ...T[]]): T => values[below(values.length)] ?? values[0];
  const chance = (share: number): boolean => random() < share;

  const folders = foldersOf(world);
  const files: HostFile[] = [];
  const count = 6 + below(10);
  for (let index = 0; index < count; index++) {
    const kind = oneOf<HostFile['kind']>(['image', 'image', 'image', 'image', 'foreign', 'other pool', 'outside']);
    const backing = chance(0.55) && files.length > 0 ? files[below(files.length)] : undefined;
    const name = `f${index}`;
    if (kind === 'image') {
      const image = drawImage(`${name}:amd64`, oneOf, chance);
      files.push({ name, kind, path: managedImage(world, `com.example:${image.product}`).path, backing, image });
    } else {
      const folder = { foreign: world.poolPath, 'other pool': folders.otherPool, outside: folders.outside }[kind];
      files.push({ name, kind, path: join(folder, `${name}.qcow2`), backing });
    }
  }
  const domains = Array.from({ length: below(5) }, (_, index): HostDomain => {
    const needs = chance(0.85) && files.length > 0 ? files[below(files.length)] : undefined;
    const [devices, os] = needs === undefined ? [oneOf(HARMLESS), ''] : drawReference(needs, oneOf);
    return { name: `d${index}`, devices, os, needs };
  });

  const stays = new Set<HostFile>();
  const keep = (file: HostFile | undefined): void => {
    for (let next = file; next !== undefined && !stays.has(next); next = next.backing) stays.add(next);
  };
  // A file outside of every pool is seen only if something names it.
  const isRoot = ({ kind, image }: HostFile): boolean => (kind === 'image' ? !isGarbage(image) : kind !== 'outside');
  for (const file of files) if (isRoot(file)) keep(file);
  for (const { needs } of domains) keep(needs);
  const images = files.filter(({ kind }) => kind === 'image');
  const names = (those: readonly HostFile[]): readonly string[] => those.map(({ name }) => name).sort();
  return {
    seed,
    files,
    domains,
    garbage: names(images.filter((file) => !stays.has(file))),
    needed: names(images.filter((file) => stays.has(file))),
  };
}

/** Builds a drawn host for real, beside what other hosts have not taken away. */
export async function buildSoundHost(world: World, { files, domains }: SoundHost): Promise<void> {
  const images: NewManagedImage[] = [];
  for (const { kind, path, backing, image } of files) {
    const on = backing === undefined ? {} : { backing: backing.path };
    if (kind !== 'image') await writeImage(world, path, backing?.path);
    else if (image !== undefined) images.push({ ...image, ...on, product: `com.example:${image.product}` });
  }
  await addManagedImages(world, images);
  const commands = [`pool-refresh ${OTHER_POOL}`];
  for (const { name, devices, os } of domains) {
    const path = join(world.root, `${name}.xml`);
    await writeFile(path, domainText(name, os, devices));
    commands.push(`define ${path}`);
  }
  await world.libvirtd.virsh(commands.join('; '));
}

/** Takes everything of a built host away. */
export async function clearSoundHost(world: World, { domains }: SoundHost): Promise<void> {
  const { otherPool, outside } = foldersOf(world);
  if (domains.length > 0) await world.libvirtd.virsh(domains.map(({ name }) => `undefine ${name}`).join('; '));
  for (const folder of [otherPool, outside, world.poolPath]) {
    for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true });
  }
  // The trash lies beside the pool.
  for (const name of await readdir(world.libvirtd.root)) {
    if (name.startsWith('.poolkeeper-')) await rm(join(world.libvirtd.root, name), { recursive: true });
  }
  await rm(join(world.root, 'state'), { recursive: true, force: true });
}

/** A drawn host in words, for the message of a test that failed. */
export function describeSoundHost({ seed, files, domains }: SoundHost): string {
  const chain = ({ name, backing }: HostFile): string => (backing === undefined ? name : `${name} on ${backing.name}`);
  return [
    `seed ${seed}`,
    ...files.map((file) => `  ${chain(file)}: ${file.kind} ${textOf(file.image)}`.trimEnd()),
    ...domains.map(({ name, needs, devices, os }) => `  ${name} needs ${needs?.name ?? 'nothing'}: ${os}${devices}`),
  ].join('\n');
}

function textOf(image: HostFile['image']): string {
  if (image === undefined) return '';
  return [image.status ?? 'pending_delete', ...(image.pin === undefined ? [] : ['locked'])].join(', ');
}

type OneOf = <T>(values: readonly [T, ...T[]]) => T;

function drawImage(
  product: string,
  oneOf: OneOf,
  chance: (share: number) => boolean,
): Omit<NewManagedImage, 'backing'> {
  const statuses = ['pending_delete', 'pending_delete', 'pending_delete', 'killed', 'deactivated', 'active'] as const;
  const status: ImageStatus = oneOf<ImageStatus>([...statuses]);
  const isLocked = chance(0.1);
  const isPersistent = status === 'active' && chance(0.5);
  return {
    product,
    status,
    ...(isLocked ? { pin: { reason: 'drawn', since: Date.now() - 60_000, until: undefined } } : {}),
    ...(isPersistent ? { traits: { type: 'os', isPersistent } } : {}),
  };
}

/** Whether an image only waits for its deletion, and no lock keeps it. The only version of a product is no garbage. */
function isGarbage(image: HostFile['image']): boolean {
  if (image === undefined || image.pin !== undefined) return false;
  return image.status === undefined || image.status === 'pending_delete' || image.status === 'killed';
}

/** What domains have besides and what needs no image. */
const HARMLESS: readonly [string, ...string[]] = [
  `<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='hdc' bus='ide'/><readonly/></disk>`,
  `<serial type='pty'/>`,
  `<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='nbd' name='elsewhere'><host name='127.0.0.1' port='10809'/></source><target dev='vda' bus='virtio'/></disk>`,
];

function drawReference({ kind, path }: HostFile, oneOf: OneOf): readonly [devices: string, os: string] {
  const disk = (type: string, source: string, format = 'qcow2'): string =>
    `<disk type='${type}' device='disk'><driver name='qemu' type='${format}'/><source ${source}/><target dev='vda' bus='virtio'/></disk>`;
  const file = path.slice(path.lastIndexOf('/') + 1);
  const pool = { image: 'uvtool', foreign: 'uvtool', 'other pool': OTHER_POOL, outside: undefined }[kind];
  const ways: [readonly [string, string], ...(readonly [string, string])[]] = [
    [disk('file', `file='${path}'`), ''],
    [disk('file', `file='${path.replace(/\/(?=[^/]*$)/, '/./')}'`), ''],
    [disk('block', `dev='${path}'`), ''],
    ['', `<kernel>${path}</kernel>`],
    [`<serial type='file'><source path='${path}'/></serial>`, ''],
  ];
  if (pool !== undefined) ways.push([disk('volume', `pool='${pool}' volume='${file}'`), '']);
  return oneOf(ways);
}

function domainText(name: string, os: string, devices: string): string {
  return [
    `<domain type='qemu'><name>${name}</name><memory unit='KiB'>16384</memory><vcpu>1</vcpu>`,
    `<os><type arch='x86_64' machine='pc'>hvm</type>${os}</os><devices>${devices}`,
    "<controller type='usb' model='none'/><memballoon model='none'/></devices></domain>",
  ].join('\n');
}
