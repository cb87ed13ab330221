import { expect } from 'chai';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeMetadataName } from '../../src/core/identity.ts';
import { jsonLines } from '../support/json-lines.ts';
import { readTasks } from '../../src/state/tasks.ts';
import { stateOf } from '../support/aftermath.ts';
import { qemuImg, qemuIo } from '../support/qemu.ts';
import { World } from '../support/world.ts';

const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';

/** In base64, names may end with `=`. */
const GONE = encodeMetadataName({ product: NOBLE, version: '20240101' });

describe('clone', () => {
  let world: World;
  let base: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    base = world.volumeName('noble', '20240821');
    const dir = await world.libvirtd.poolDir('disks');
    await world.libvirtd.virsh('pool-define-as', 'disks', 'dir', '--target', dir);
    await world.libvirtd.virsh('pool-start', 'disks');
    const jammy = await world.release('jammy', '20240301');
    await world.publish([await world.release('noble', '20240423'), jammy]);
    await world.sync();
    await world.publish([await world.release('noble', '20240423', '20240821'), jammy]);
    await world.sync('--keep-versions', '2');
  });
  after(() => world.stop());

  /** Leaves the images alone. */
  afterEach(async () => {
    for (const name of await world.volumes()) {
      if (!name.startsWith('x-uvt-')) await world.libvirtd.virsh('vol-delete', name, '--pool', 'uvtool');
    }
  });

  const clone = (...words: readonly string[]) => world.poolkeeper('clone', '--overlay', ...words);

  async function headerOf(path: string): Promise<Record<string, unknown>> {
    const header = JSON.parse(await qemuImg('info', '--output=json', path)) as Record<string, unknown>;
    const {
      format,
      'virtual-size': size,
      'backing-filename': backing,
      'backing-filename-format': backingFormat,
    } = header;
    return { format, size, backing, backingFormat };
  }

  it('makes a volume that stands on the image, and prints its path alone', async () => {
    const path = join(world.poolPath, 'web1.qcow2');
    expect(await clone('release=noble', 'web1.qcow2')).to.deep.equal({ status: 0, stdout: `${path}\n`, stderr: '' });
    const backing = world.volumePath('noble', '20240821');
    expect(await headerOf(path)).to.deep.equal({ format: 'qcow2', size: 2 ** 20, backing, backingFormat: 'qcow2' });
  });

  it('makes it as large as asked for, in the pool asked for', async () => {
    const run = await clone(base, 'web1', '--size', '20M', '--target-pool', 'disks', '--json');
    const path = join(world.libvirtd.root, 'disks/web1');
    const backing = world.volumePath('noble', '20240821');
    expect(jsonLines(run.stdout)).to.deep.equal([
      { message_type: 'volume', pool: 'disks', volume: 'web1', path, backing, capacity_bytes: 20 * 2 ** 20 },
    ]);
    expect(await headerOf(path)).to.include({ size: 20 * 2 ** 20, backing });
    await world.libvirtd.virsh('vol-delete', 'web1', '--pool', 'disks');
  });

  for (const [title, words, status, message] of [
    [
      'an image that is not offered',
      [`${NOBLE} 20240423`, 'web1'],
      4,
      /^cannot clone image \S+ 20240423: it is not offered to new domains$/,
    ],
    ['an image that there is not', ['com.example:x 1', 'web1'], 4, /^no image is called 'com\.example:x 1'$/],
    [
      'a volume that is gone, whose name looks like a filter',
      [GONE, 'web1'],
      4,
      /^no image is called 'x-uvt-b64-\S+='$/,
    ],
    ['filters that match nothing', ['release=lunar', 'web1'], 4, /^no image matches release=lunar$/],
    ['filters that match several images', ['arch=amd64', 'web1'], 2, /^'arch=amd64' may be any of 2 images:$/],
    [
      'a size below that of the image',
      [NOBLE, 'web1', '--size', '1K'],
      2,
      /^--size is smaller than the image, which has 1 MiB$/,
    ],
    ['the name of an image', [NOBLE, 'x-uvt-b64-eCAx'], 2, /^'x-uvt-b64-eCAx' looks like the name of an image$/],
    ['a name with a slash', [NOBLE, '../web1'], 2, /^'\.\.\/web1' cannot be the name of a volume$/],
    ['a hidden name', [NOBLE, '.web1'], 2, /^'\.web1' cannot be the name of a volume$/],
    ['a single word', ['web1'], 2, /^name an image, and the volume to create$/],
    ['a pool that there is not', [NOBLE, 'web1', '--target-pool', 'none'], 10, /^storage pool 'none' does not exist/],
  ] as const) {
    it(`refuses ${title}`, async () => {
      const before = await world.volumes();
      const run = await clone(...words);
      const [first = ''] = run.stderr.split('\n');
      expect([run.status, run.stdout]).to.deep.equal([status, '']);
      expect(first.replace('poolkeeper: error: ', '')).to.match(message);
      expect(await world.volumes()).to.deep.equal(before);
    });
  }

  it('refuses a name that is taken, known to libvirt or not', async () => {
    await clone(NOBLE, 'web1');
    await writeFile(join(world.poolPath, 'web2'), 'precious');
    expect(await clone(NOBLE, 'web1')).to.deep.equal({
      status: 1,
      stdout: '',
      stderr: [
        `poolkeeper: error: volume 'web1' exists already in storage pool 'uvtool'`,
        'poolkeeper: hint: choose another name, or delete that volume first',
        '',
      ].join('\n'),
    });
    const unknown = await clone(NOBLE, 'web2');
    expect([unknown.status, unknown.stdout]).to.deep.equal([10, '']);
    expect(unknown.stderr).to.include("web2' already exists");
    expect(await readFile(join(world.poolPath, 'web2'), 'utf8')).to.equal('precious');
  });

  it('takes what is not offered when told so, raw volumes too, but no other format', async () => {
    expect((await clone(NOBLE, '20240423', 'web1', '--any')).status).to.equal(0);
    await world.libvirtd.virsh('vol-create-as', 'uvtool', 'data.img', '1M', '--format', 'raw');
    expect((await clone('data.img', 'web2', '--any', '--size', '3M')).status).to.equal(0);
    const backing = join(world.poolPath, 'data.img');
    expect(await headerOf(join(world.poolPath, 'web2'))).to.deep.equal({
      format: 'qcow2',
      size: 3 * 2 ** 20,
      backing,
      backingFormat: 'raw',
    });
    await world.libvirtd.virsh('vol-create-as', 'uvtool', 'data.vmdk', '1M', '--format', 'vmdk');
    const run = await clone('data.vmdk', 'web3', '--any');
    expect([run.status, run.stderr.split('\n')[0]]).to.deep.equal([
      1,
      `poolkeeper: error: volume 'data.vmdk' in storage pool 'uvtool' is neither a qcow2 nor a raw image, but vmdk`,
    ]);
  });

  it('makes an overlay when nothing is said, and refuses what contradicts itself', async () => {
    expect((await world.poolkeeper('clone', NOBLE, 'web1')).status).to.equal(0);
    expect(await headerOf(join(world.poolPath, 'web1'))).to.include({ backingFormat: 'qcow2' });
    expect(await clone(NOBLE, 'web2', '--full')).to.include({ status: 2, stdout: '' });
  });

  describe('--full', () => {
    const copy = (...words: readonly string[]) => world.poolkeeper('clone', '--full', ...words);

    it('copies the image byte by byte, as large as asked for, and needs it no more', async () => {
      expect(await copy(NOBLE, 'web1')).to.include({ status: 0, stderr: '' });
      const source = await readFile(world.volumePath('noble', '20240821'));
      expect(source.equals(await readFile(join(world.poolPath, 'web1')))).to.equal(true);
      const large = await copy(NOBLE, 'web2', '--size', '20M', '--target-pool', 'disks', '--json');
      const path = join(world.libvirtd.root, 'disks/web2');
      expect(jsonLines(large.stdout)).to.deep.equal([
        { message_type: 'volume', pool: 'disks', volume: 'web2', path, capacity_bytes: 20 * 2 ** 20 },
      ]);
      expect(await headerOf(path)).to.deep.equal({
        format: 'qcow2',
        size: 20 * 2 ** 20,
        backing: undefined,
        backingFormat: undefined,
      });
      await world.libvirtd.virsh('vol-delete', 'web2', '--pool', 'disks');
      const tasks = (await readTasks(join(await stateOf(world), 'tasks'))).tasks.filter(({ kind }) => kind === 'clone');
      expect(tasks.map(({ status, volumeName }) => `${status} ${volumeName}`)).to.deep.equal(
        Array(2).fill(`success ${base}`),
      );
    });

    it('flattens what stands on other volumes, and leaves nothing beside it', async () => {
      await clone(NOBLE, 'web1', '--size', '2M');
      await qemuIo(join(world.poolPath, 'web1'), 'write -P 0x61 1M 1M');
      expect(await copy('web1', 'web2', '--any')).to.include({ status: 0, stderr: '' });
      expect(await headerOf(join(world.poolPath, 'web2'))).to.include({ format: 'qcow2', backing: undefined });
      await qemuImg('compare', '-q', join(world.poolPath, 'web1'), join(world.poolPath, 'web2'));
      expect(await world.volumes())
        .to.include('web2')
        .and.not.include('web2.unfinished');
    });

    it('copies a raw volume, and makes it larger', async () => {
      await writeFile(join(world.poolPath, 'data.img'), Buffer.alloc(3 * 2 ** 20, 'x'));
      await world.libvirtd.give(join(world.poolPath, 'data.img'));
      await world.volumes();
      expect(await copy('data.img', 'web1', '--any', '--size', '4M')).to.include({ status: 0, stderr: '' });
      const bytes = await readFile(join(world.poolPath, 'web1'));
      expect(bytes.equals(Buffer.concat([Buffer.alloc(3 * 2 ** 20, 'x'), Buffer.alloc(2 ** 20)]))).to.equal(true);
    });

    it('refuses an image that has changed since it came, a smaller size and a name that is taken', async () => {
      const path = world.volumePath('jammy', '20240301');
      const sound = await readFile(path);
      const flipped = Buffer.from(sound);
      flipped.writeUInt8(sound.readUInt8(sound.length - 1) ^ 1, sound.length - 1);
      await writeFile(path, flipped);
      const damaged = await copy('release=jammy', 'web1');
      await writeFile(path, sound);
      const small = await copy(NOBLE, 'web1', '--size', '1K');
      expect([damaged.status, small.status]).to.deep.equal([15, 2]);
      expect(damaged.stderr).to.match(/^poolkeeper: error: cannot copy volume 'x-uvt-\S+': expected sha256 /);
      expect(await world.volumes()).not.to.include('web1');
      await clone(NOBLE, 'web1');
      expect(await copy(NOBLE, 'web1')).to.include({ status: 1, stdout: '' });
      expect(await headerOf(join(world.poolPath, 'web1'))).to.include({ backingFormat: 'qcow2' });
    });

    it('refuses a persistent image, unless any is taken', async () => {
      await world.poolkeeper('create', '--name', 'db', '--size', '1M', '--persistent');
      for (const how of ['--overlay', '--full']) {
        const refused = await world.poolkeeper('clone', how, 'local:db', 'web1');
        expect(refused.stderr).to.match(/it is persistent, and the domain that uses it writes to it\n.*--any/);
        expect(refused.status).to.equal(4);
      }
      expect(await copy('local:db', 'web1', '--any')).to.include({ status: 0 });
    });
  });

  describe('--overlay', () => {
    it('keeps the image from then on, until the new volume is deleted', async () => {
      await clone(NOBLE, 'web1');
      await world.publish([await world.release('noble', '20241004'), await world.release('jammy', '20240301')]);
      expect((await world.sync('-v')).stdout).to.match(/^keep image \S+ 20240821: needed by volume uvtool\/web1 /m);
      expect(await world.volumes()).to.include(base);
      await world.libvirtd.virsh('vol-delete', 'web1', '--pool', 'uvtool');
      expect((await world.sync()).status).to.equal(0);
      expect(await world.volumes()).not.to.include(base);
    });
  });
});
