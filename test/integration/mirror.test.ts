import { expect } from 'chai';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { startHttpServer, type HttpServer } from '../support/http-server.ts';
import { World } from '../support/world.ts';

const MIB = 2 ** 20;
const DISK = /\.img$/;
const SERIAL = '20240821';

describe('mirrors', () => {
  let world: World;
  let mirrors: readonly HttpServer[];
  /** How many requests each mirror had before this test. */
  let earlier: readonly number[];

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.publish([
      { release: 'noble', versions: [{ serial: SERIAL, image: await world.image('noble-1', 3 * MIB) }] },
    ]);
    const copy = join(world.root, 'copy');
    await cp(world.mirror, copy, { recursive: true });
    mirrors = [await startHttpServer(join(world.root, 'nothing')), await startHttpServer(copy)];
  });
  afterEach(async () => {
    world.server.clearFaults();
    for (const mirror of mirrors) mirror.clearFaults();
    await world.poolkeeper('purge', '--yes');
    // What lies in the trash would not be fetched again.
    await world.poolkeeper('gc', '--empty-trash', '--yes');
  });
  after(async () => {
    for (const mirror of mirrors) await mirror.stop();
    await world.stop();
  });

  it('are not asked while the source has the image', async () => {
    const run = await syncWithMirrors();
    expect({ status: run.status, asked: asked() }).to.deep.equal({ status: 0, asked: [] });
    expect(run.stdout).not.to.contain(' from http');
  });

  it('serve in their order what the source does not have, and the report names the one that did', async () => {
    world.server.fault(DISK, { kind: 'status', status: 404 });
    const run = await syncWithMirrors();
    const path = world.server.requests.find((request) => DISK.test(request.path))?.path;
    expect({ status: run.status, stderr: run.stderr, asked: asked() }).to.deep.equal({
      status: 0,
      stderr: '',
      asked: [path, path],
    });
    expect(run.stdout)
      .to.match(/fetched image .* from http:/)
      .and.to.contain(` from ${mirrors[1]?.url.slice(0, -1)}${path}`);
  });

  it('name the address in JSON, too', async () => {
    const run = await syncWithMirrors('--json');
    const events = run.stdout.split('\n').flatMap((line): unknown[] => (line === '' ? [] : [JSON.parse(line)]));
    const path = world.server.requests.findLast((request) => DISK.test(request.path))?.path ?? '';
    expect(events.at(-1)).to.deep.include({ message_type: 'step_done', url: new URL(path, world.server.url).href });
  });

  it('are trusted no more than the source: the digest of the signed document decides', async () => {
    world.server.fault(DISK, { kind: 'status', status: 404 });
    mirrors[1]?.fault(DISK, { kind: 'flip', offset: 70_000 });
    const run = await syncWithMirrors();
    expect({ status: run.status, volumes: await world.volumes() }).to.deep.equal({ status: 15, volumes: [] });
  });

  it('go on with what the source began', async () => {
    for (const server of [world.server, ...mirrors]) server.fault(DISK, { kind: 'etag', value: '"same"' });
    world.server.fault(DISK, { kind: 'truncate', afterBytes: 2 * MIB }, { times: 1 });
    world.server.fault(DISK, { kind: 'status', status: 404 }, { after: 1 });
    const run = await syncWithMirrors('--retries', '0');
    const ranges = mirrors[1]?.requests.slice(earlier[1]).map(({ headers }) => headers.range);
    expect({ status: run.status, ranges, volumes: await world.volumes() }).to.deep.equal({
      status: 0,
      ranges: [`bytes=${2 * MIB}-`],
      volumes: [world.volumeName('noble', SERIAL)],
    });
  });

  it('have to be addresses', async () => {
    const run = await world.sync('--mirror', 'ftp://example.com/', 'arch=amd64');
    expect(run.status).to.equal(2);
  });

  function syncWithMirrors(...args: readonly string[]) {
    earlier = mirrors.map(({ requests }) => requests.length);
    return world.sync('arch=amd64', ...mirrors.flatMap(({ url }) => ['--mirror', url]), ...args);
  }

  function asked(): readonly string[] {
    return mirrors.flatMap(({ requests }, index) => requests.slice(earlier[index]).map(({ path }) => path));
  }
});
