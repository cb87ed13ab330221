import { expect } from 'chai';
import { lstat } from 'node:fs/promises';
import { until } from '../support/aftermath.ts';
import { World } from '../support/world.ts';

const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';
const IMAGE = /noble.*\.img$/;

describe('sync from a source with faults', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());

  beforeEach(async () => {
    await world.reset();
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240301')]);
  });

  const jammyOnly = (): unknown => ({
    volumes: [world.volumeName('jammy', '20240301')],
    offered: 'release=jammy arch=amd64 label=release (20240301)\n',
  });

  async function outcome(): Promise<unknown> {
    return { volumes: await world.volumes(), offered: (await world.poolkeeper('query')).stdout };
  }

  for (const [what, change] of [
    ['has no checksum', (item: Record<string, unknown>) => ['md5', 'sha256'].forEach((key) => delete item[key])],
    ['has no size', (item: Record<string, unknown>) => delete item['size']],
    ['is one byte longer than described', (item: Record<string, unknown>) => (item['size'] = Number(item['size']) - 1)],
    [
      'is one byte shorter than described',
      (item: Record<string, unknown>) => (item['size'] = Number(item['size']) + 1),
    ],
    ['has another digest', (item: Record<string, unknown>) => (item['sha256'] = 'ab'.repeat(32))],
    [
      'has another sha512 beside the right sha256',
      (item: Record<string, unknown>) => (item['sha512'] = 'ab'.repeat(64)),
    ],
  ] as const) {
    it(`(${what.includes('512') ? 25 : 26}) takes the other images when one ${what}`, async () => {
      await world.amendItem('noble', '20240423', change);
      const run = await world.sync('--jobs', '2');
      expect(run.status).to.equal(3);
      expect(run.stderr).to.match(/^poolkeeper: error: .*24\.04/m);
      expect(run.stderr).to.match(/poolkeeper: error: 1 of 2 images failed\n$/);
      expect(run.stderr).not.to.include('    at ');
      expect(await outcome()).to.deep.equal(jammyOnly());
    });
  }

  it('(25) goes by the strongest digest, in whichever case, and by no weaker one', async () => {
    await world.amendItem('noble', '20240423', (item) => {
      item['md5'] = 'ab'.repeat(16);
      item['sha256'] = String(item['sha256']).toUpperCase();
    });
    expect((await world.sync()).status).to.equal(0);
    expect(await world.volumes()).to.have.lengthOf(2);
  });

  it('(36) goes on where a connection broke', async () => {
    world.server.fault(IMAGE, { kind: 'reset', fraction: 0.3 }, { times: 1 });
    const since = world.server.requests.length;
    expect((await world.sync('release=noble')).status).to.equal(0);
    const ranges = world.server.requests.slice(since).filter(({ path }) => IMAGE.test(path));
    expect(ranges.map(({ status }) => status)).to.deep.equal([200, 206]);
  });

  it('(36) begins anew when the server knows no ranges', async () => {
    world.server.fault(IMAGE, { kind: 'reset', fraction: 0.3 }, { times: 1 });
    world.server.fault(IMAGE, { kind: 'ignore-range' });
    expect((await world.sync('release=noble')).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20240423')]);
  });

  it('reports the only image that failed with its own status, and remembers why for the next run', async () => {
    world.server.fault(IMAGE, { kind: 'flip', offset: 700_000 });
    const run = await world.sync('release=noble');
    expect(run.status).to.equal(15);
    expect(await world.volumes()).to.deep.equal([]);
    world.server.clearFaults();
    expect((await world.sync('release=noble')).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20240423')]);
  });

  it('lets a bad image neither in nor out: the old one stays offered, its bytes untouched', async () => {
    await world.sync();
    const tree = await world.tree();
    await world.publish([await world.release('noble', '20240821'), await world.release('jammy', '20240301')]);
    world.server.fault(IMAGE, { kind: 'flip', offset: 700_000 });
    expect((await world.sync()).status).to.equal(3);
    const after = await world.tree();
    const kept = [world.volumePath('noble', '20240423'), `${world.metadata}/${world.volumeName('noble', '20240423')}`];
    expect(kept.map((path) => after[path])).to.deep.equal(kept.map((path) => tree[path]));
    expect((await world.poolkeeper('query', 'release=noble')).stdout).to.equal(
      'release=noble arch=amd64 label=release (20240423)\n',
    );
  });

  it('leaves a half image to the sweep that a domain was quick to use, when its content turns out to be wrong', async () => {
    await world.publishRelease('noble', '20240424');
    world.server.fault(IMAGE, { kind: 'slow', bytesPerSecond: 500_000 });
    world.server.fault(IMAGE, { kind: 'flip', offset: 700_000 });
    const [path, volume] = [world.volumePath('noble', '20240424'), world.volumeName('noble', '20240424')];
    const run = world.startSync('release=noble');
    await until(async () => (await lstat(path).catch(() => undefined)) !== undefined);
    await world.define('quick', { path });
    expect((await run.ended).status).to.equal(15);
    expect(await outcome()).to.deep.equal({ volumes: [volume], offered: '' });

    await world.libvirtd.virsh('undefine', 'quick');
    world.server.clearFaults();
    await world.sync('release=noble', '--allow-mass-removal');
    expect(await outcome()).to.deep.equal({ volumes: [], offered: '' });
  });

  it('(27) refuses the whole document for one path that leaves the source', async () => {
    await world.amendItem('noble', '20240423', (item) => (item['path'] = '../../etc/passwd'));
    const since = world.server.requests.length;
    const run = await world.sync('release=jammy');
    expect(run.status).to.equal(12);
    expect(world.imageRequests(since)).to.equal(0);
    expect(await world.volumes()).to.deep.equal([]);
  });

  it('refuses documents that are older than the last ones, and takes them with --allow-rollback', async () => {
    await world.sync();
    await world.publish([await world.release('noble', '20240101')], new Date('2024-01-02T00:00:00Z'));
    const run = await world.sync();
    expect(run.status).to.equal(12);
    expect(run.stderr).to.match(
      /^poolkeeper: error: \S+ is of 2024-01-02T00:00:00\.000Z, but one of \S+ was accepted before\npoolkeeper: hint: a stale mirror .*--allow-rollback\n$/,
    );
    expect((await world.poolkeeper('query', 'release=noble')).stdout).to.include('(20240423)');
    expect((await world.sync('--allow-rollback')).status).to.equal(0);
    expect((await world.poolkeeper('query', 'release=noble')).stdout).to.include('(20240101)');
  });

  it('names no product by anything but its name', async () => {
    expect((await world.sync('release=noble', '--json')).stdout).to.include(`"product":"${NOBLE}"`);
  });
});
