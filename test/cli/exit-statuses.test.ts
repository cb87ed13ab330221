import { expect } from 'chai';
import { join } from 'node:path';
import { EXIT } from '../../src/errors.ts';
import { until } from '../support/aftermath.ts';
import { type Run, World } from '../support/world.ts';

const DISK = /\.img$/;

describe('exit statuses', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());
  beforeEach(async () => {
    await world.reset();
    await world.publishRelease('noble', '20240423');
  });

  /** A sync that cannot come to its end until it is told to stop, or until `meanwhile` is over. */
  async function stoppedSync(signal: NodeJS.Signals, meanwhile?: () => Promise<Run>): Promise<readonly Run[]> {
    world.server.fault(DISK, { kind: 'slow', bytesPerSecond: 1024 });
    const since = world.server.requests.length;
    const running = world.startSync();
    await until(() => world.imageRequests(since) > 0);
    const other = await meanwhile?.();
    running.kill(signal);
    return [await running.ended, ...(other === undefined ? [] : [other])];
  }

  async function syncAndUse(image: string): Promise<void> {
    await world.sync();
    await world.define('web1', { path: image, format: 'qcow2' });
  }

  /** How each status comes about. An entry that is missing does not compile. */
  const provoke: Readonly<Record<keyof typeof EXIT, () => Promise<Run | undefined>>> = {
    done: () => world.sync(),
    failure: async () => {
      await world.sync();
      return world.poolkeeper('purge');
    },
    usage: () => world.poolkeeper('sync', '--no-such-option'),
    partial: async () => {
      await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240301')]);
      world.server.fault(/jammy.*\.img$/, { kind: 'status', status: 404 });
      return world.sync('--retries', '0');
    },
    noMatch: () => world.sync('release=focal'),
    libvirt: () => world.poolkeeper('query', '--connect', `qemu+unix:///session?socket=${join(world.root, 'none')}`),
    source: () => world.sync('--source', 'http://127.0.0.1:9/', '--retries', '0'),
    trust: async () => {
      await world.sync();
      await world.publish([await world.release('noble', '20240423')], new Date(Date.now() - 2 * 86_400_000));
      return world.sync();
    },
    incompleteView: async () => {
      await syncAndUse(join(world.root, 'unmounted/web1.qcow2'));
      return world.poolkeeper('purge', '--yes');
    },
    locked: async () => (await stoppedSync('SIGINT', () => world.poolkeeper('gc', '--yes')))[1],
    integrity: () => {
      world.server.fault(DISK, { kind: 'flip', offset: 70_000 });
      return world.sync('--retries', '0');
    },
    inUse: async () => {
      await syncAndUse(world.volumePath('noble', '20240423'));
      return world.poolkeeper('purge', '--yes');
    },
    noSpace: () => world.sync('--reserve', '1P'),
    interrupted: async () => (await stoppedSync('SIGINT'))[0],
    terminated: async () => (await stoppedSync('SIGTERM'))[0],
  };

  for (const [name, status] of Object.entries(EXIT)) {
    it(`has ${status} for ${name}, and says why it is not 0`, async () => {
      const run = await provoke[name as keyof typeof EXIT]();
      expect(run?.status, run?.stderr).to.equal(status);
      expect(run?.stderr.includes('poolkeeper: error: ')).to.equal(status !== 0);
    });
  }
});
