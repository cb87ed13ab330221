import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SweepOutcome } from '../../src/core/sweep-plan.ts';
import { fetcherOf, openSession, withConnection, withLock } from '../../src/commands/session.ts';
import { executeSweep } from '../../src/execute/sweep.ts';
import { judgePool } from '../../src/gather/judge-pool.ts';
import { inProcess } from '../support/in-process.ts';
import { World } from '../support/world.ts';

const run = promisify(execFile);
const NOW = ['--yes', '--grace', '0', '--min-age', '0', '--allow-mass-removal'];

describe('a pool that is a file system of its own', () => {
  let world: World;

  beforeEach(async () => {
    world = await World.start();
    await mkdir(world.poolPath);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', world.poolPath]);
    await world.libvirtd.give(world.poolPath);
  });
  afterEach(async () => {
    // Whatever was mounted, also by a test that failed.
    const isMounted = (): Promise<boolean> =>
      run('mountpoint', ['-q', world.poolPath]).then(
        () => true,
        () => false,
      );
    while (await isMounted()) await run('umount', ['-l', world.poolPath]);
    await world.stop();
  });

  it('has its trash inside, hidden from every list, where uvtool does not write too [B1]', async () => {
    await world.createPool('plain');
    await hold('plain');
    const name = world.volumeName('noble', '20240401');
    expect((await gc('plain')).stdout).to.match(/^deleted image \S+ 20240401 \(.* freed on /m);
    const [entry] = await world.trash('--pool', 'plain');
    expect(entry?.['file']).to.match(new RegExp(`^${world.poolPath}/\\.poolkeeper-trash-`));
    await world.libvirtd.virsh('pool-refresh', 'plain');
    for (const words of [['list'], ['orphans', '--min-age', '0'], ['usage']])
      expect((await world.poolkeeper(...words, '--pool', 'plain')).stdout, words.join(' ')).not.to.include(
        '.poolkeeper-trash',
      );
    expect((await world.poolkeeper('doctor', '-q', '--pool', 'plain')).stdout).not.to.include('.poolkeeper-trash');
    expect((await world.poolkeeper('undo', '--pool', 'plain')).status).to.equal(0);
    expect(existsSync(join(world.poolPath, name))).to.equal(true);
  });

  it('loses what is deleted at once where uvtool writes too, and that is said [B1]', async () => {
    await world.createPool();
    await hold('uvtool');
    const { status, stdout, stderr } = await gc('uvtool');
    expect(status).to.equal(0);
    expect(stdout).to.match(/^deleted image \S+ 20240401 \([\d.]+ MiB freed\)$/m);
    expect(stderr).to.match(/cannot be brought back: there is no place for a trash \(\S+: EXDEV\)/);
    expect(await world.trash()).to.deep.equal([]);
    expect((await readdir(world.poolPath)).filter((each) => each.startsWith('.'))).to.deep.equal([]);
  });

  it('makes room for a fetch, the oldest first [B1]', async () => {
    await world.createPool('plain');
    await hold('plain');
    await gc('plain', '--trash-min-free', '0');
    const { size } = await stat((await world.trash('--pool', 'plain'))[0]?.['file'] ?? '');
    const { stdout } = await run('stat', ['-f', '-c', '%a %S', world.poolPath]);
    const [blocks = 0, blockBytes = 0] = stdout.split(' ').map(Number);
    await world.publishRelease('noble', '20240403');
    // As much is to stay free as is free now, so there is room for nothing unless the trash goes.
    const reserve = String(blocks * blockBytes - size / 2);
    const sync = await world.sync('--pool', 'plain', '--reserve', reserve, '--no-gc');
    expect(sync.status, sync.stderr).to.equal(0);
    expect(sync.stdout)
      .to.match(/^emptied the trash of image \S+ 20240401 /m)
      .and.match(/^fetched image \S+ 20240403 /m);
  });

  for (const [title, disturb] of [
    ['another file system is mounted over it', () => run('mount', ['-t', 'tmpfs', 'tmpfs', world.poolPath])],
    ['it is unmounted', () => run('umount', ['-l', world.poolPath])],
  ] as const)
    it(`is not deleted from when ${title} between the judgement and the deletion [E4]`, async () => {
      await world.createPool();
      await hold('uvtool');
      const names = [world.volumeName('noble', '20240401'), world.volumeName('noble', '20240402')];
      expect(await sweep(names, disturb)).to.deep.equal(['spared unseen', 'spared unseen']);
      // The twin: nothing was mounted.
      await run('umount', ['-l', world.poolPath]).catch(() => undefined);
      if (title.startsWith('another')) {
        expect((await readdir(world.poolPath)).sort()).to.include.members(names);
        expect(await sweep(names, async () => undefined)).to.deep.equal(['deleted', 'deleted']);
      }
    });

  async function hold(pool: string): Promise<void> {
    for (const serial of ['20240401', '20240402']) {
      await world.publishRelease('noble', serial);
      const { status, stderr } = await world.sync('--pool', pool, '--keep-versions', '9');
      expect(status, stderr).to.equal(0);
    }
  }

  function gc(pool: string, ...options: readonly string[]) {
    return world.poolkeeper('gc', '--pool', pool, ...NOW, ...options);
  }

  /** Judges, lets something happen, and deletes. */
  async function sweep(names: readonly string[], disturb: () => Promise<unknown>): Promise<readonly string[]> {
    const { context, options } = inProcess(world);
    const scope = new Set(names);
    return withConnection(options, async (connection) => {
      const session = await openSession(context, options, connection);
      const judge = () =>
        judgePool(session, { now: Date.now(), graceMs: 0, minAgeMs: 0 }, { only: scope, retired: scope });
      return withLock(session, { command: 'test', fetcher: fetcherOf(context) }, async ({ environment }) => {
        const { verdicts, folder } = await judge();
        expect(verdicts.map(({ action }) => action)).to.deep.equal(['delete', 'delete']);
        const outcomes = await executeSweep(verdicts, {
          environment,
          folder,
          isHere: true,
          // The second look itself sees the right folder, so that only the comparison right before each deletion is left.
          rejudge: async () => {
            await disturb();
            return verdicts;
          },
          afterDelete: async () => undefined,
        });
        return outcomes.map(textOf);
      });
    });
  }
});

function textOf(outcome: SweepOutcome): string {
  return outcome.result === 'spared' ? `spared ${outcome.why}` : outcome.result;
}
