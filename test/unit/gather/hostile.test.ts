import { expect } from 'chai';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { domainDocument, domainOf, listed, outlookOf } from '../../support/scenario-inventory.ts';
import { qcow2Head } from '../image-format/qcow2-image.ts';

const LINKS = 10_000;

describe('a sweep beside hostile and large hosts', () => {
  let root: string;
  let pool: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'pk-hostile-'));
    pool = join(root, 'pool');
    await mkdir(pool);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('follows a long chain to its end, outside every pool', async () => {
    const base = await image('base');
    await image('twin');
    let below = base;
    for (let index = 0; index < LINKS / 5; index += 1) below = await image(`../link${index}`, below);
    expect(await deletedOf(['base', 'twin'], [below])).to.deep.equal(['twin']);
  });

  it('collects a chain of 10,000 managed images, the overlays first', async () => {
    const names = Array.from({ length: LINKS }, (_, index) => `link${index}`);
    for (const [index, name] of names.entries()) await image(name, names[index - 1]);
    expect(await deletedOf(names)).to.have.lengthOf(LINKS);
  });

  it('comes to an end on images that stand on themselves and on each other, and keeps what is there [D4]', async () => {
    await symlink('.', join(pool, 'loop'));
    await symlink('self-link', join(pool, 'self-link'));
    await symlink('..', join(pool, 'up'));
    await image('self', `${pool}/loop/loop/self`);
    await image('one', 'up/pool/two');
    await image('two', `${pool}/loop/one`);
    await image('top', 'self-link');
    expect(await deletedOf(['self', 'one', 'two', 'top'])).to.deep.equal([]);
    for (const name of ['one', 'two', 'top']) await rm(join(pool, name));
    // What goes round does not speak for keeping itself.
    await image('twin');
    expect(await deletedOf(['self', 'twin'])).to.deep.equal(['self']);
    await rm(join(pool, 'self'));
    expect(await deletedOf(['twin'])).to.deep.equal(['twin']);
  });

  it('keeps its patience with names that no system call takes', async () => {
    await image('twin');
    const names = [`/${'a'.repeat(5000)}`, `/${'a/'.repeat(300_000)}`, '/a/../'.repeat(10_000)];
    expect(await deletedOf(['twin'], names)).to.deep.equal(['twin']);
  });

  it('is done with 2,000 volumes and 1,000 domains of two disks without trying each with each', async function () {
    this.timeout(60_000);
    const names = Array.from({ length: 2000 }, (_, index) => `volume${index}`);
    for (const [index, name] of names.entries()) await image(name, index % 4 === 3 ? names[index - 1] : undefined);
    const disks = names.map((name) => join(pool, name)).filter((_, index) => index % 4 !== 1);
    expect(await deletedOf(names, disks, 1000)).to.have.lengthOf(500);
  });

  async function image(name: string, backing?: string): Promise<string> {
    const path = join(pool, name);
    const parts = backing === undefined ? {} : { backing: { offset: 512n, length: backing.length, name: backing } };
    await writeFile(path, qcow2Head(parts).subarray(0, 1536));
    return path;
  }

  /** Judges volumes beside domains that share the disks among them. */
  async function deletedOf(
    names: readonly string[],
    disks: readonly string[] = [],
    domains = 1,
  ): Promise<readonly string[]> {
    const documents = Array.from({ length: domains }, (_, index) => {
      const own = disks.filter((_disk, at) => at % domains === index);
      const devices = own.map((path) => `<disk type='file'><driver type='qcow2'/><source file='${path}'/></disk>`);
      return domainOf(`d${index}`, domainDocument(`d${index}`, devices.join('')));
    });
    const volumes = names.map((name) => ({ name, path: join(pool, name) }));
    const pools = [await listed({ name: 'pool', targetPath: pool, volumes })];
    const inventory = { pools, domains: documents, blindSpots: [] };
    const { deleted } = await outlookOf(inventory, new Set(names), { isLocal: true });
    return deleted;
  }
});
