import { expect } from 'chai';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildStream, productName } from '../support/stream-builder.ts';
import { type Run, PRODUCTS, World } from '../support/world.ts';

const NOBLE = productName({ release: 'noble' });
const JAMMY = productName({ release: 'jammy' });

describe('several sources', () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());
  afterEach(() => world.reset());

  /** Publishes one product at an address of its own. */
  async function publishAt(folder: string, release: string, ...serials: readonly string[]): Promise<void> {
    const product = await world.release(release, ...serials);
    const directory = join(world.mirror, folder);
    await mkdir(directory, { recursive: true });
    await buildStream(directory, { products: [product], signer: world.key, updated: new Date() });
  }

  /** Syncs by a configuration; each source is given as `name: folder`, or with more keys. */
  async function sync(sources: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Run> {
    return world.poolkeeper('sync', '--config', await writeConfiguration(sources), ...args);
  }

  async function writeConfiguration(sources: Readonly<Record<string, string>>): Promise<string> {
    const path = join(world.root, 'config.yaml');
    const lines = Object.entries(sources).map(
      ([name, more]) => `  ${name}: {keyring: ${world.keyring}, filters: [arch=amd64], ${more}}\n`,
    );
    await writeFile(path, `retention: {grace: 0, min-age: 0}\nsources:\n${lines.join('')}`);
    return path;
  }

  const at = (folder: string): string => `url: ${world.server.url}${folder}/`;
  const linesOf = ({ stdout }: Run): readonly string[] =>
    stdout.split('\n').filter((line) => /^(fetched|with|del)/.test(line));
  const saying = ({ stderr }: Run): string =>
    stderr.replaceAll(world.server.url, 'URL/').replaceAll('poolkeeper: ', '');

  it('are all synced, each by its own rules, and the failure of one is no matter of the others', async () => {
    await publishAt('a', 'noble', '20240423');
    await publishAt('b', 'jammy', '20240301', '20240401');
    const sources = { a: at('a'), broken: at('none'), b: at('b') };
    const run = await sync(sources);
    expect(linesOf(run)).to.deep.equal([
      `fetched image ${NOBLE} 20240423 (1.3 MiB)`,
      `fetched image ${JAMMY} 20240401 (1.3 MiB)`,
    ]);
    expect([
      run.status,
      saying(run)
        .split('\n')
        .filter((line) => line.startsWith('error')),
    ]).to.deep.equal([
      3,
      ['error: cannot read URL/none/streams/v1/index.sjson: the server answered 404', 'error: 1 of 3 sources failed'],
    ]);
    await publishAt('a', 'noble', '20240423', '20240501');
    await publishAt('b', 'jammy', '20240401', '20240501');
    const own = { a: `${at('a')}, keep-versions: 2`, b: at('b') };
    const second = await sync(own);
    expect([second.status, second.stderr]).to.deep.equal([0, '']);
    expect(await world.volumes()).to.deep.equal(
      [
        world.volumeName('noble', '20240423'),
        world.volumeName('noble', '20240501'),
        world.volumeName('jammy', '20240501'),
      ].sort(),
    );
    expect(await sync(own)).to.deep.equal({ status: 0, stdout: '', stderr: '' });
  });

  it('keep what they brought when another one offers the same product', async () => {
    await publishAt('a', 'noble', '20240423');
    await publishAt('b', 'noble', '20240501');
    const sources = { a: at('a'), b: at('b') };
    for (const run of [await sync(sources), await sync({ b: at('b'), a: at('a') })]) {
      expect([run.status, saying(run)]).to.deep.equal([
        3,
        [
          `error: source 'b' offers 1 product(s) that source 'a' brought: ${NOBLE}`,
          `hint: they stay with it; leave them out by a filter such as product_name!=${NOBLE}, or write the address under 'mirrors' of the other source`,
          'error: 1 of 2 sources failed',
          '',
        ].join('\n'),
      ]);
      expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20240423')]);
    }
    const moved = await sync({ b: at('b') });
    expect([moved.status, linesOf(moved)[0]]).to.deep.equal([0, `fetched image ${NOBLE} 20240501 (1.3 MiB)`]);
    expect(moved.stdout.replaceAll(world.server.url, 'URL/')).to.contain(
      `\nproduct ${NOBLE} comes from URL/b/ now; it came from URL/a/ before\n`,
    );
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20240501')]);
  });

  it('lose only their own images when products are gone, and none because of filters for one run', async () => {
    await publishAt('a', 'noble', '20240423');
    await publishAt('b', 'jammy', '20240401');
    await publishAt('c', 'focal', '20240401');
    const drop = 'gone: drop-when-unused';
    const sources = { a: at('a'), b: `${at('b')}, ${drop}`, c: `${at('c')}, ${drop}` };
    await sync(sources);
    const narrowed = await sync(sources, 'release~.', 'version_name!=20240401');
    expect([narrowed.status, await world.volumes().then(({ length }) => length)]).to.deep.equal([3, 3]);
    await rm(join(world.mirror, 'a'), { recursive: true });
    await rm(join(world.mirror, 'b'), { recursive: true });
    await publishAt('a', 'mantic', '20240401');
    await publishAt('b', 'mantic', '20240401');
    const run = await sync(sources, '--allow-mass-removal');
    expect(run.status).to.equal(3);
    expect(await world.volumes()).to.deep.equal(
      [
        world.volumeName('noble', '20240423'),
        world.volumeName('mantic', '20240401'),
        world.volumeName('focal', '20240401'),
      ].sort(),
    );
  });

  it('can be named, by name and by address', async () => {
    await publishAt('a', 'noble', '20240423');
    await publishAt('b', 'jammy', '20240401');
    const sources = { first: at('a'), second: at('b') };
    expect(linesOf(await sync(sources, '--source', 'second'))).to.deep.equal([
      `fetched image ${JAMMY} 20240401 (1.3 MiB)`,
    ]);
    expect(linesOf(await sync(sources, '--source', `${world.server.url}a`))).to.deep.equal([
      `fetched image ${NOBLE} 20240423 (1.3 MiB)`,
    ]);
    const mistyped = await sync(sources, '--source', 'secnd');
    expect([mistyped.status, saying(mistyped)]).to.deep.equal([
      2,
      "error: there is no source 'secnd'\nhint: did you mean 'second'?\n",
    ]);
    const vague = await sync(sources, '--mirror', world.server.url);
    expect([vague.status, saying(vague)]).to.deep.equal([
      2,
      'error: --mirror is about one source, and several are configured\nhint: say which with --source NAME, or write it into the configuration\n',
    ]);
  });

  it('keep their own rules when gc collects, unless the command line says something else', async () => {
    await publishAt('a', 'noble', '20240423');
    await publishAt('b', 'jammy', '20240401');
    const both = { a: `${at('a')}, keep-versions: 2`, b: `${at('b')}, keep-versions: 2` };
    await sync(both);
    await publishAt('a', 'noble', '20240423', '20240501');
    await publishAt('b', 'jammy', '20240401', '20240501');
    await sync(both);
    await writeConfiguration({ a: both.a, b: at('b') });
    const gc = (...args: readonly string[]): Promise<Run> =>
      world.poolkeeper('gc', '--config', join(world.root, 'config.yaml'), '--dry-run', ...args);
    const retired = ({ stdout }: Run): readonly string[] =>
      stdout.split('\n').filter((line) => line.startsWith('would retire'));
    const reason = 'newer versions replace it';
    expect(retired(await gc())).to.deep.equal([`would retire image ${JAMMY} 20240401: ${reason}`]);
    expect(retired(await gc('--keep-versions', '2'))).to.deep.equal([]);
    expect(retired(await gc('--keep-versions', '1'))).to.have.lengthOf(2);
  });

  it('bring the item that is preferred, and say which', async () => {
    await world.publishRelease('noble', '20240423');
    await world.amend(PRODUCTS, ({ products }) => {
      const items = products?.[NOBLE]?.versions['20240423']?.items ?? {};
      items['disk-kvm.img'] = { ...items['disk1.img'], ftype: 'disk-kvm.img' };
    });
    const url = `url: ${world.server.url}, items: [disk-kvm.img, disk1.img]`;
    expect(linesOf(await sync({ a: url }))).to.deep.equal([`fetched image ${NOBLE} 20240423 (disk-kvm.img, 1.3 MiB)`]);
    expect(await sync({ a: url })).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    expect(await readdir(world.metadata)).to.deep.equal([world.volumeName('noble', '20240423')]);
  });

  it('fail together with the status of their failure', async () => {
    const run = await sync({ a: at('a'), b: at('b') });
    expect([run.status, run.stdout, saying(run).split('\n').slice(-2)]).to.deep.equal([
      11,
      '',
      ['error: 2 of 2 sources failed', ''],
    ]);
  });

  it('are not asked when a filter is none, nor is libvirt', async () => {
    const run = await sync({ a: at('a') }, 'noble', '--connect', 'qemu+unix:///session?socket=/nowhere');
    expect([run.status, saying(run).split('\n')[0]]).to.deep.equal([2, "error: 'noble' is not a filter"]);
  });
});
