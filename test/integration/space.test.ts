import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { aftermathOf, openIntentsOf, until } from '../support/aftermath.ts';
import { World } from '../support/world.ts';

const run = promisify(execFile);
const MIB = 2 ** 20;
const SERIAL = '20240821';

describe('a pool with little room', () => {
  let world: World;

  beforeEach(async () => {
    world = await World.start();
    await mkdir(world.poolPath);
    await mountSmall(world.poolPath, 16);
    await world.createPool();
    await world.publish([
      { release: 'noble', versions: [{ serial: SERIAL, image: await world.image('noble-1', 9 * MIB) }] },
      { release: 'jammy', versions: [{ serial: SERIAL, image: await world.image('jammy-1', 9 * MIB) }] },
      { release: 'focal', versions: [{ serial: SERIAL, image: await world.image('focal-1', 2 * MIB) }] },
    ]);
  });
  afterEach(async () => {
    await world.server.stop();
    await run('umount', ['-l', world.poolPath]);
    await world.stop();
  });

  it('gets those images that fit, in the order of the plan, and the rest is named with its size', async () => {
    const { status, stderr } = await world.sync('arch=amd64');
    expect({ status, volumes: await world.volumes() }).to.deep.equal({
      status: 17,
      volumes: volumes('noble', 'focal'),
    });
    expect(stderr).to.match(
      /cannot fetch image 'com\.ubuntu\.cloud:server:22\.04:amd64 20240821': it needs 9\.\d MiB, and \d(\.\d)? MiB are free for it\n/,
    );
    expect(imageRequests('jammy')).to.equal(0);
  });

  it('says so before anything is done', async () => {
    const { stdout } = await world.sync('--dry-run', 'arch=amd64');
    expect(stdout.split('\n').filter((line) => /would skip .*22\.04.*it needs/.test(line))).to.have.length(1);
  });

  it('keeps free what is to be kept free', async () => {
    const { status } = await world.sync('--reserve', '12M', 'arch=amd64');
    expect({ status, volumes: await world.volumes() }).to.deep.equal({ status: 17, volumes: volumes('focal') });
  });

  it('does not count again what has arrived already', async () => {
    world.server.fault(/noble.*\.img$/, { kind: 'truncate', afterBytes: 8 * MIB }, { times: 1 });
    world.server.fault(/noble.*\.img$/, { kind: 'status', status: 403 }, { after: 1, times: 1 });
    expect((await world.sync('--retries', '1', 'release=noble')).status).to.equal(11);
    await writeFile(join(world.poolPath, 'other'), Buffer.alloc(6 * MIB));
    expect(await world.sync('release=noble')).to.include({ status: 0, stderr: '' });
  });

  it('loses the half of an image for which room ends on the way, while the others go on', async () => {
    world.server.fault(/noble.*\.img$/, { kind: 'slow', bytesPerSecond: 16 * MIB });
    const running = world.startSync('release~noble|focal');
    await until(async () => (await allocated('noble')) > 2 * MIB);
    await writeFile(join(world.poolPath, 'other'), Buffer.alloc(16 * MIB)).catch(() => undefined);
    const { status, stderr } = await running.ended;
    const after = await aftermathOf(world);
    const noble = world.volumeName('noble', SERIAL);
    expect({
      status,
      volumes: Object.keys(after.volumes).filter((name) => name !== 'other'),
      record: after.records[noble]?.status,
      intents: await openIntentsOf(world),
    }).to.deep.equal({ status: 17, volumes: volumes('focal'), record: 'queued', intents: [] });
    expect(stderr).to.contain('No space left on device');

    world.server.clearFaults();
    await rm(join(world.poolPath, 'other'));
    expect(await world.sync('release~noble|focal')).to.include({ status: 0 });
    expect(await world.volumes()).to.deep.equal(volumes('noble', 'focal'));
  });

  function volumes(...releases: readonly string[]): readonly string[] {
    return releases.map((release) => world.volumeName(release, SERIAL)).sort();
  }

  function imageRequests(release: string): number {
    return world.server.requests.filter(({ path }) => path.endsWith('.img') && path.includes(release)).length;
  }

  async function allocated(release: string): Promise<number> {
    return stat(world.volumePath(release, SERIAL)).then(
      ({ blocks }) => blocks * 512,
      () => 0,
    );
  }
});

/** Mounts a file system of so many MiB. */
async function mountSmall(path: string, sizeMib: number): Promise<void> {
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m,mode=777`, 'poolkeeper-test', path]);
  } catch (cause) {
    throw new Error('cannot mount a small file system: run this test as root, or in a container that may mount', {
      cause,
    });
  }
}
