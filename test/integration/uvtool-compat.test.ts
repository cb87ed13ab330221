import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { encodeMetadataName, encodeVolumeName } from '../../src/core/identity.ts';
import { qemuImg } from '../support/qemu.ts';
import { productName } from '../support/stream-builder.ts';
import { uvtool } from '../support/uvtool.ts';
import { PRODUCTS, World } from '../support/world.ts';

const PROGRAM = fileURLToPath(new URL('../../../bin/poolkeeper.js', import.meta.url));
const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';
const line = (release: string, serial: string): string => `release=${release} arch=amd64 label=release (${serial})\n`;

describe('uvtool compatibility', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());
  beforeEach(() => world.reset());

  /** What uvtool lists of a pool. */
  async function query(...filters: readonly string[]): Promise<string> {
    const list = join(world.root, 'volumes.txt');
    await writeFile(list, (await world.volumes()).join('\n'));
    return uvtool('query', world.metadata, 'dir', list, ...filters);
  }

  async function flattened(release: string, serial: string): Promise<string> {
    const products = join(world.mirror, 'streams/v1', PRODUCTS);
    return uvtool('flatten', products, productName({ release }), serial, 'disk1.img');
  }

  function metadataPath(release: string, serial: string): string {
    return join(world.metadata, world.volumeName(release, serial));
  }

  /** An image as uvtool would have brought it: converted, so that its bytes are not those of the source. */
  async function bringByUvtool(release: string, serial: string): Promise<void> {
    await mkdir(world.metadata, { recursive: true });
    const image = await world.image(`${release}-${serial}`);
    const target = world.volumePath(release, serial);
    await qemuImg('convert', '-f', 'qcow2', '-O', 'qcow2', '-o', 'cluster_size=32k', image, target);
    await world.libvirtd.give(target);
    await writeFile(metadataPath(release, serial), await flattened(release, serial));
  }

  it('names volume and metadata file as uvtool does, and writes its bytes', async () => {
    await world.publish([await world.release('noble', '20240423.1'), await world.release('jammy', '20240301')]);
    await world.amendItem('noble', '20240423.1', (item) => {
      Object.assign(item, { note: 'Größe "\\/\b\u2028 \u{1f600}', beta: false, list: [1], nothing: null });
    });
    expect((await world.sync()).status).to.equal(0);
    const name = 'x-uvt-b64-Y29tLnVidW50dS5jbG91ZDpzZXJ2ZXI6MjQuMDQ6YW1kNjQgMjAyNDA0MjMuMQ==';
    expect(await world.volumes()).to.include(name);
    const path = join(world.metadata, name);
    expect(await readFile(path, 'utf8')).to.equal(await flattened('noble', '20240423.1'));
    expect(await readFile(metadataPath('jammy', '20240301'), 'utf8')).to.equal(await flattened('jammy', '20240301'));
    const [file, directory] = [await stat(path), await stat(world.metadata)];
    expect([(file.mode & 0o7777).toString(8), file.gid]).to.deep.equal(['664', directory.gid]);
  });

  it('stores the image as it was published, byte for byte', async () => {
    await world.publishRelease('noble', '20240423');
    await world.sync();
    const published = await readFile(await world.image('noble-20240423'));
    expect(published.equals(await readFile(world.volumePath('noble', '20240423')))).to.equal(true);
    const info = await world.libvirtd.virsh('vol-dumpxml', world.volumeName('noble', '20240423'), 'uvtool');
    expect(info).to.include("<format type='qcow2'/>");
  });

  it('(40) is listed by uvtool as by poolkeeper, whatever the filters', async () => {
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240301')]);
    await world.sync();
    for (const [filters, lines] of [
      [[], line('jammy', '20240301') + line('noble', '20240423')],
      [['arch=amd64'], line('jammy', '20240301') + line('noble', '20240423')],
      [['release=noble'], line('noble', '20240423')],
      [['release~^j', 'supported=True'], line('jammy', '20240301')],
      [['item_name=disk1.img', `product_name=${NOBLE}`, 'version_name=20240423'], line('noble', '20240423')],
      [['content_id~released', 'label!=release'], ''],
    ] as const) {
      expect(await query(...filters)).to.equal(lines);
      expect(await world.poolkeeper('query', ...filters)).to.deep.equal({ status: 0, stdout: lines, stderr: '' });
    }
  });

  it('(40) keeps exactly one image per release in the offer when it holds on to more', async () => {
    await world.publishRelease('noble', '20240423');
    await world.sync('--keep-versions', '2');
    await world.publishRelease('noble', '20240423', '20240821');
    await world.sync('--keep-versions', '2');
    expect(await world.volumes()).to.have.lengthOf(2);
    expect(await query('release=noble')).to.equal(line('noble', '20240821'));
  });

  it('does not disturb uvtool with what a killed run left behind', async () => {
    await world.publishRelease('noble', '20240423');
    await world.sync();
    const staging = join(world.metadata, '.poolkeeper-AbCdEf');
    await mkdir(staging);
    await writeFile(join(staging, '.7d2b9a52-3c1e-4c7f-8a61-0c8f6a1f2b3c.tmp'), '{"half":');
    expect(await query()).to.equal(line('noble', '20240423'));
    expect(await world.sync()).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    expect(await stat(staging).catch((error: NodeJS.ErrnoException) => error.code)).to.equal('ENOENT');
  });

  it('(41) takes images for present that uvtool brought, and leaves bytes and metadata alone', async () => {
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240301')]);
    await bringByUvtool('noble', '20240423');
    await bringByUvtool('jammy', '20240301');
    const files = ['noble 20240423', 'jammy 20240301'].flatMap((image) => {
      const [release = '', serial = ''] = image.split(' ');
      return [world.volumePath(release, serial), metadataPath(release, serial)];
    });
    const [before, since] = [await world.tree(), world.server.requests.length];
    const run = await world.sync();
    expect(run.stderr).to.equal('');
    expect(run.stdout.split('\n').sort()).to.deep.equal([
      '',
      'enlisted image com.ubuntu.cloud:server:22.04:amd64 20240301, which uvtool brought',
      'enlisted image com.ubuntu.cloud:server:24.04:amd64 20240423, which uvtool brought',
    ]);
    const after = await world.tree();
    expect(files.map((path) => after[path])).to.deep.equal(files.map((path) => before[path]));
    expect(world.imageRequests(since)).to.equal(0);
    expect(await world.sync()).to.deep.equal({ status: 0, stdout: '', stderr: '' });
  });

  it('(41) replaces an image that uvtool brought by a newer one', async () => {
    await world.publishRelease('noble', '20240423');
    await bringByUvtool('noble', '20240423');
    await world.publishRelease('noble', '20240821');
    expect((await world.sync()).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20240821')]);
    expect(await query()).to.equal(line('noble', '20240821'));
  });

  it('(42) leaves foreign volumes alone, and lists them with -v', async () => {
    await world.publishRelease('noble', '20240423');
    const foreign = ['foo.qcow', 'x-uvt-b64-bm90aGluZw==', 'x-uvt-b64-***', 'x-uvt-plain-p__1', 'überall.img'];
    for (const name of foreign) {
      await writeFile(join(world.poolPath, name), name);
      await world.libvirtd.give(join(world.poolPath, name));
    }
    const run = await world.sync('-v');
    expect([run.status, run.stderr]).to.deep.equal([0, '']);
    const listed = run.stdout.split('\n').filter((text) => text.startsWith('leave volume'));
    expect(listed.sort()).to.deep.equal(foreign.map((name) => `leave volume '${name}' alone: not managed`).sort());
    for (const name of foreign) expect(await readFile(join(world.poolPath, name), 'utf8')).to.equal(name);
    expect((await world.sync()).stdout).to.equal('');
  });

  it('(39) offers the image of a stream that names things otherwise, in a form that uvtool can list', async () => {
    await world.publishRelease('noble', '0.6.2');
    await world.amend(PRODUCTS, ({ products }) => {
      const product = products?.[NOBLE];
      const version = product?.versions['0.6.2'];
      delete product?.['release'];
      delete version?.['label'];
      if (version !== undefined) version.items = { 'disk.img': { ...version.items['disk1.img'], ftype: 'disk.img' } };
    });
    expect((await world.sync('arch=amd64')).status).to.equal(4);
    expect((await world.sync('ftype=disk.img', 'arch=amd64')).status).to.equal(0);
    expect(await query('arch=amd64')).to.equal('release= arch=amd64 label= (0.6.2)\n');
    expect(await world.metadataOf('noble', '0.6.2')).to.include({ item_name: 'disk.img', release: '', label: '' });
  });

  it('(17) agrees with uvtool on which version is the newest', async () => {
    await world.publishRelease('noble', '20240423', '20240423.1', '20240423.10', '20240423.2');
    await world.sync();
    expect(await query()).to.equal(line('noble', '20240423.2'));
  });

  it('(43) merges one product of two documents, and does not waver between them', async () => {
    await world.publishRelease('noble', '20240821');
    const other = JSON.parse(await readFile(join(world.mirror, 'streams/v1', PRODUCTS), 'utf8')) as object;
    await world.publishRelease('noble', '20240423');
    const name = 'com.ubuntu.cloud:more:download.json';
    await writeFile(join(world.mirror, 'streams/v1', name), JSON.stringify({ ...other, content_id: 'more' }));
    await world.amend(name, () => undefined);
    await world.amend('index.json', ({ index = {} }) => {
      const [entry] = Object.values(index);
      index['more'] = { ...entry, path: `streams/v1/${name}` };
    });
    expect((await world.sync()).status).to.equal(0);
    expect(await query()).to.equal(line('noble', '20240821'));
    for (let run = 0; run < 2; run += 1) {
      expect(await world.sync()).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    }
  });

  it('uses plain names in pools that are not of type dir, and base64 for their metadata', () => {
    const identity = { product: NOBLE, version: '20240423.1' };
    expect(encodeVolumeName(identity, 'fs')).to.equal(`x-uvt-plain-${NOBLE}__20240423.1`);
    expect(encodeMetadataName(identity)).to.equal(
      'x-uvt-b64-Y29tLnVidW50dS5jbG91ZDpzZXJ2ZXI6MjQuMDQ6YW1kNjQgMjAyNDA0MjMuMQ==',
    );
  });

  it("answers to the name of uvtool's command, with its arguments, and purges without a question", async () => {
    await world.publishRelease('noble', '20240423');
    const command = join(world.root, 'uvt-simplestreams-libvirt');
    await symlink(PROGRAM, command);
    const run = async (...args: readonly string[]): Promise<string> => {
      const [options, env] = [world.options, { PATH: process.env['PATH'], HOME: world.root }];
      return (await promisify(execFile)(command, [...args, ...options], { env })).stdout;
    };
    const source = ['--source', world.server.url, '--path', 'streams/v1/index.sjson', '--keyring', world.keyring];
    await run('--verbose', 'sync', ...source, '--pool', 'uvtool', 'release=noble', 'arch=amd64');
    expect(await run('query', '--pool', 'uvtool', 'release=noble')).to.equal(line('noble', '20240423'));
    await run('purge', '--pool', 'uvtool');
    expect(await world.volumes()).to.deep.equal([]);
    expect(await query()).to.equal('');
  });
});
