import { expect } from 'chai';
import * as fc from 'fast-check';
import { link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { BlindSpot } from '../../../src/core/reference.ts';
import type { Inventory, PoolListing } from '../../../src/gather/inventory.ts';
import { domainDocument, domainOf, listed, outlookOf } from '../../support/scenario-inventory.ts';
import { qcow2Head } from '../image-format/qcow2-image.ts';

/** One file of a generated host. Other files are meant by their index, modulo the number of files. */
interface FilePlan {
  readonly place: 'pool' | 'other pool' | 'folder below' | 'outside';
  readonly kind: 'image' | 'link' | 'hard link';
  readonly target: number | undefined;
  readonly spelling: Spelling;
  /** Whether libvirt lists it, where it is foreign. */
  readonly isListed: boolean;
  readonly isManaged: boolean;
}

type Spelling = 'plain' | 'slashes' | 'dots' | 'alias' | 'json' | 'file:';

interface HostPlan {
  readonly files: readonly FilePlan[];
  /** What domains have as disks. */
  readonly disks: readonly { readonly target: number; readonly spelling: Exclude<Spelling, 'json' | 'file:'> }[];
}

const PATH_SPELLINGS = ['plain', 'slashes', 'dots', 'alias'] as const;

const HOSTS: fc.Arbitrary<HostPlan> = fc.record({
  files: fc.array(
    fc.record({
      place: fc.constantFrom<FilePlan['place']>('pool', 'pool', 'pool', 'other pool', 'folder below', 'outside'),
      kind: fc.constantFrom<FilePlan['kind']>('image', 'image', 'image', 'link', 'hard link'),
      target: fc.option(fc.nat(30), { nil: undefined }),
      spelling: fc.constantFrom<Spelling>(...PATH_SPELLINGS, 'json', 'file:'),
      isListed: fc.boolean(),
      isManaged: fc.boolean(),
    }),
    { minLength: 2, maxLength: 14 },
  ),
  disks: fc.array(fc.record({ target: fc.nat(30), spelling: fc.constantFrom(...PATH_SPELLINGS) }), { maxLength: 3 }),
});

/** Something that goes wrong while gathering. */
type Fault = (inventory: Inventory, host: Host) => Promise<Inventory>;

const SPOT: BlindSpot = { what: 'domain x: live XML', cause: 'it fails', remedy: 'mend it', concerns: 'everything' };

const FAULTS: Readonly<Record<string, Fault>> = {
  'a domain document is broken': async (inventory) => ({
    ...inventory,
    domains: inventory.domains.map((domain) => ({
      ...domain,
      documents: domain.documents.map((document) => ({ ...document, xml: document.xml.slice(0, -3) })),
    })),
  }),
  'the domains cannot be read': async (inventory) => ({ ...inventory, domains: [], blindSpots: [SPOT] }),
  'the other pool is not active': async (inventory) => ({
    ...inventory,
    pools: inventory.pools.map((pool, index) => (index === 0 ? pool : unseen(pool))),
  }),
  'a chain goes round [D4]': async (inventory, { paths }) => {
    const [path] = paths;
    const last = paths.at(-1);
    if (path !== undefined && last !== undefined) await writeFile(path, image(last));
    return inventory;
  },
  'a header is broken': async (inventory, { paths }) => {
    const [path] = paths;
    if (path !== undefined) await writeFile(path, Buffer.from('QFI\xfb\0\0\0\x09', 'latin1'));
    return inventory;
  },
  'an image is gone with its folder': async (inventory, { root }) => {
    await rm(join(root, 'outside'), { recursive: true });
    return inventory;
  },
  'a volume cannot be read': async (inventory) => ({
    ...inventory,
    pools: inventory.pools.map((pool) => ({ ...pool, ...withoutLast(pool) })),
  }),
};

interface Host {
  readonly root: string;
  readonly plan: HostPlan;
  readonly paths: readonly string[];
}

describe('a sweep of generated pools', () => {
  it('deletes exactly the managed volumes that nothing needs', async () => {
    await fc.assert(
      fc.asyncProperty(HOSTS, (plan) =>
        withHost(plan, async (host) => {
          const { deleted, blindSpots } = await outlookOf(await inventoryOf(host), managedOf(plan), { isLocal: true });
          expect(blindSpots).to.deep.equal([]);
          expect(deleted).to.deep.equal(unneededOf(plan));
        }),
      ),
      { numRuns: 100 },
    );
  });

  for (const [title, fault] of Object.entries(FAULTS)) {
    it(`is never larger when ${title}`, async () => {
      await fc.assert(
        fc.asyncProperty(HOSTS, (plan) =>
          withHost(plan, async (host) => {
            const faulty = await fault(await inventoryOf(host), host);
            const { deleted } = await outlookOf(faulty, managedOf(plan), { isLocal: true });
            expect(deleted.filter((name) => !unneededOf(plan).includes(name))).to.deep.equal([]);
          }),
        ),
        { numRuns: 30 },
      );
    });
  }
});

function unseen(listing: PoolListing): PoolListing {
  const pool = { ...listing.pool, isActive: false };
  return { pool, entries: undefined, volumes: [], unreadable: [], blindSpots: [{ ...SPOT, what: 'the other pool' }] };
}

/** The last volume that is foreign is listed but cannot be read, neither through libvirt nor in the directory. */
function withoutLast({ volumes, entries, blindSpots }: PoolListing): Partial<PoolListing> {
  const last = volumes.findLast(({ name }) => name.startsWith('foreign'));
  if (last === undefined) return {};
  return {
    volumes: volumes.filter((volume) => volume !== last),
    ...(entries === undefined ? {} : { entries: entries.filter((entry) => entry.toString() !== last.name) }),
    blindSpots: [...blindSpots, { ...SPOT, what: last.name }],
  };
}

async function withHost(plan: HostPlan, use: (host: Host) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'pk-gather-'));
  try {
    await use({ root, plan, paths: await build(root, plan) });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Makes all files; links come in the order in which their targets exist. */
async function build(root: string, { files }: HostPlan): Promise<readonly string[]> {
  for (const folder of ['pool', 'pool2', 'pool/below', 'outside']) await mkdir(join(root, folder), { recursive: true });
  for (const folder of ['pool2', 'pool/below', 'outside']) await writeFile(join(root, folder, 'foreign-note'), 'raw');
  await symlink(join(root, 'pool'), join(root, 'alias'));
  const paths = files.map((file, index) => join(root, FOLDERS[file.place], nameOf(file, index)));
  for (const index of files.keys()) await buildFile(index, files, paths, root);
  return paths;
}

async function buildFile(
  index: number,
  files: readonly FilePlan[],
  paths: readonly string[],
  root: string,
): Promise<void> {
  const { kind, spelling } = files[index] ?? expect.fail('no file');
  const target = targetOf(files, index);
  const pathOf = (at: number): string => paths[at] ?? expect.fail('no path');
  if (target === undefined) await writeFile(pathOf(index), image(undefined));
  else if (kind === 'image') await writeFile(pathOf(index), image(spell(pathOf(target), spelling, root)));
  else if (kind === 'link') await symlink(pathOf(target), pathOf(index));
  else await link(pathOf(realOf(files, target)), pathOf(index));
}

const FOLDERS = { pool: 'pool', 'other pool': 'pool2', 'folder below': 'pool/below', outside: 'outside' } as const;

function nameOf(file: FilePlan, index: number): string {
  return `${isManaged(file) ? 'managed' : 'foreign'}-${index}.img`;
}

/** Only the volumes of one pool are judged. */
function isManaged(file: FilePlan): boolean {
  return file.isManaged && file.place === 'pool';
}

/** Images stand on what was made before them, and links lead there. */
function targetOf(files: readonly FilePlan[], index: number): number | undefined {
  const { target } = files[index] ?? {};
  return target === undefined || index === 0 ? undefined : target % index;
}

/** The image behind links. */
function realOf(files: readonly FilePlan[], index: number): number {
  const target = targetOf(files, index);
  return files[index]?.kind === 'link' && target !== undefined ? realOf(files, target) : index;
}

function spell(path: string, spelling: Spelling, root: string): string {
  switch (spelling) {
    case 'plain':
      return path;
    case 'slashes':
      return path.replaceAll('/', '//');
    case 'dots':
      return `${dirname(path)}/../${basename(dirname(path))}/./${basename(path)}`;
    case 'alias':
      return path.replace(`${root}/pool/`, `${root}/alias/`);
    case 'json':
      return `json:${JSON.stringify({ driver: 'qcow2', file: { driver: 'file', filename: path } })}`;
    case 'file:':
      return `file:${path}`;
  }
}

function image(backing: string | undefined): Buffer {
  if (backing === undefined) return qcow2Head().subarray(0, 2048);
  return qcow2Head({ backing: { offset: 512n, length: backing.length, name: backing } }).subarray(0, 2048);
}

async function inventoryOf({ root, plan, paths }: Host): Promise<Inventory> {
  const volumesIn = (place: FilePlan['place']) =>
    plan.files.flatMap((file, index) => {
      const isShown = file.place === place && (file.isListed || isManaged(file));
      return isShown ? [{ name: nameOf(file, index), path: paths[index] ?? '' }] : [];
    });
  const domains = plan.disks.map(({ target, spelling }, index) => {
    const path = spell(paths[target % paths.length] ?? '', spelling, root);
    const disk = `<disk type='file'><driver type='qcow2'/><source file='${path}'/></disk>`;
    return domainOf(`d${index}`, domainDocument(`d${index}`, disk));
  });
  return {
    pools: [
      await listed({ name: 'pool', targetPath: join(root, 'pool'), volumes: volumesIn('pool') }),
      await listed({ name: 'pool2', targetPath: join(root, 'pool2'), volumes: volumesIn('other pool') }),
    ],
    domains,
    blindSpots: [],
  };
}

function managedOf({ files }: HostPlan): ReadonlySet<string> {
  return new Set(files.flatMap((file, index) => (isManaged(file) ? [nameOf(file, index)] : [])));
}

/**
 * The model: whatever domains and foreign files lead to, and all names of the same file, is needed. Foreign files are
 * those in pools, and those outside that anything leads to.
 */
function unneededOf({ files, disks }: HostPlan): readonly string[] {
  const groups = files.map((_, index) => groupOf(files, index));
  const needed = new Set<number>();
  const need = (index: number): void => {
    if (needed.has(index)) return;
    needed.add(index);
    const target = targetOf(files, index);
    if (target !== undefined) need(target);
    for (const [other, group] of groups.entries()) if (group === groups[index]) need(other);
  };
  for (const { target } of disks) need(target % files.length);
  const found = foundOf({ files, disks });
  for (const [index, file] of files.entries()) if (!isManaged(file) && found.has(index)) need(index);
  return files.flatMap((file, index) => (isManaged(file) && !needed.has(index) ? [nameOf(file, index)] : [])).sort();
}

function foundOf({ files, disks }: HostPlan): ReadonlySet<number> {
  const found = new Set<number>();
  const find = (index: number): void => {
    if (found.has(index)) return;
    found.add(index);
    const backing = targetOf(files, groupOf(files, index));
    if (backing !== undefined) find(backing);
  };
  for (const { target } of disks) find(target % files.length);
  for (const [index, { place }] of files.entries()) if (place !== 'outside') find(index);
  return found;
}

/** All names of one file have one group: links and hard links come down to one image. */
function groupOf(files: readonly FilePlan[], index: number): number {
  const target = targetOf(files, index);
  return files[index]?.kind === 'image' || target === undefined ? index : groupOf(files, target);
}
