import { expect } from 'chai';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { aftermathOf, sha256Of } from '../support/aftermath.ts';
import { type HttpServer, startHttpServer } from '../support/http-server.ts';
import { World } from '../support/world.ts';

const DISK = /\.img$/;
const OLD = '20240821';
const NEW = '20240901';

describe('a source that moves on while it is read', () => {
  let world: World;
  let images: Readonly<Record<string, string>>;
  /** How many requests there were before this test. */
  let earlier: number;
  let staleCache: HttpServer | undefined;

  before(async () => {
    world = await World.start();
    await world.createPool();
    images = { [OLD]: await world.image('noble-1'), [NEW]: await world.image('noble-2') };
  });
  beforeEach(async () => {
    await publish(OLD);
    earlier = world.server.requests.length;
  });
  afterEach(async () => {
    world.server.clearFaults();
    await world.poolkeeper('purge', '--yes');
    // What lies in the trash would not be fetched again.
    await world.poolkeeper('gc', '--empty-trash', '--yes');
  });
  after(async () => {
    await staleCache?.stop();
    await world.stop();
  });

  it('is read again past all caches when an image is gone, and the newer one is fetched', async () => {
    await moveOnBehindCache();
    const run = await world.sync('arch=amd64');
    expect({ status: run.status, volumes: await world.volumes() }).to.deep.equal({
      status: 0,
      volumes: [world.volumeName('noble', NEW)],
    });
    expect(requests(/sjson$/).map(({ headers }) => headers['cache-control'])).to.deep.equal([
      undefined,
      undefined,
      'no-cache',
      'no-cache',
    ]);
  });

  it('leaves the image missing, and says what to do, when it says the same as before', async () => {
    world.server.fault(DISK, { kind: 'status', status: 404 });
    const run = await world.sync('arch=amd64');
    expect(run.status).to.equal(11);
    expect(run.stderr).to.contain('the server answered with status 404').and.to.contain('run again');
    expect(requests(DISK)).to.have.length(1);
    expect((await aftermathOf(world)).records[world.volumeName('noble', OLD)]?.status).to.equal('queued');
  });

  for (const kind of ['flip', 'html', 'short', 'extra'] as const) {
    it(`gets an image once more, past all caches, after '${kind}'`, async () => {
      const fault = { flip: { kind: 'flip', offset: 70_000 }, html: { kind: 'html' } } as const;
      const length = { short: { kind: 'short', bytes: 1 }, extra: { kind: 'extra', bytes: 1 } } as const;
      world.server.fault(DISK, { ...fault, ...length }[kind], { times: 1 });
      const run = await world.sync('arch=amd64');
      expect(run).to.include({ status: 0, stderr: '' });
      expect(requests(DISK).map(({ headers }) => headers['cache-control'])).to.deep.equal([undefined, 'no-cache']);
      expect(requests(DISK).map(({ headers }) => headers.range)).to.deep.equal([undefined, undefined]);
      expect(await sha256Of(world.volumePath('noble', OLD))).to.equal(await sha256Of(images[OLD] ?? ''));
    });
  }

  it('tries no third time, names both digests, and leaves nothing', async () => {
    world.server.fault(DISK, { kind: 'flip', offset: 70_000 });
    const run = await world.sync('arch=amd64');
    expect({ status: run.status, requests: requests(DISK).length, volumes: await world.volumes() }).to.deep.equal({
      status: 15,
      requests: 2,
      volumes: [],
    });
    const expected = await sha256Of(images[OLD] ?? '');
    expect(run.stderr.match(/expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}/g)).to.have.length(1);
    expect(run.stderr).to.contain(`expected sha256 ${expected}`);
    const { records, metadata } = await aftermathOf(world);
    expect({ status: records[world.volumeName('noble', OLD)]?.status, metadata }).to.deep.equal({
      status: 'killed',
      metadata: {},
    });
  });

  it('keeps the first failure when it cannot be read a second time', async () => {
    world.server.fault(DISK, { kind: 'status', status: 410 });
    world.server.fault(/sjson$/, { kind: 'status', status: 403 }, { after: 2 });
    const run = await world.sync('arch=amd64');
    expect(run.status).to.equal(11);
    expect(run.stderr).to.contain('status 410').and.to.contain('warning: cannot read the source again');
  });

  it('does not hold up the images that are there', async () => {
    await world.publish([
      { release: 'noble', versions: [{ serial: OLD, image: images[OLD] ?? '' }] },
      { release: 'jammy', versions: [{ serial: OLD, image: images[NEW] ?? '' }] },
    ]);
    world.server.fault(/noble.*\.img$/, { kind: 'status', status: 404 });
    const run = await world.sync('arch=amd64');
    expect({ status: run.status, volumes: await world.volumes() }).to.deep.equal({
      status: 3,
      volumes: [world.volumeName('jammy', OLD)],
    });
  });

  function publish(serial: string): Promise<void> {
    return world.publish([{ release: 'noble', versions: [{ serial, image: images[serial] ?? '' }] }]);
  }

  function requests(pattern: RegExp) {
    return world.server.requests.slice(earlier).filter(({ path }) => pattern.test(path));
  }

  /** The publisher has moved on; a cache on the way still answers with the old documents, unless it is told not to. */
  async function moveOnBehindCache(): Promise<void> {
    const copy = join(world.root, 'copy');
    await cp(world.mirror, copy, { recursive: true });
    await publish(NEW);
    await rm(join(world.mirror, `server/releases/noble/release-${OLD}`), { recursive: true });
    staleCache = await startHttpServer(copy);
    for (const name of ['index.sjson', 'com.ubuntu.cloud:released:download.sjson']) {
      const to = new URL(`streams/v1/${name}`, staleCache.url).href;
      world.server.fault(`/streams/v1/${name}`, { kind: 'redirect', to }, { times: 1 });
    }
  }
});
