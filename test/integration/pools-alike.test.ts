import { expect } from 'chai';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Run, runProgram, World } from '../support/world.ts';

const ALIAS = ['--pool', 'alias'];

describe('two pools on one directory', () => {
  let world: World;
  let volumeName: string;

  before(async () => {
    world = await World.start();
    await world.createPool('first');
    await symlink(world.poolPath, join(world.libvirtd.root, 'alias'));
    await world.libvirtd.virsh('pool-define-as', 'alias', 'dir', '--target', join(world.libvirtd.root, 'alias'));
    await world.libvirtd.virsh('pool-start', 'alias');
    volumeName = world.volumeName('noble', '20240821');
    await world.publishRelease('noble', '20240821');
  });
  after(() => world.stop());

  it('do not take from each other what one of them offers, by sync or by purge', async () => {
    expect(await run('sync', '--pool', 'first', ...source())).to.include({ status: 0 });
    await world.publishRelease('jammy', '20240821');
    expect(await run('sync', ...ALIAS, '--allow-mass-removal', ...source())).to.include({ status: 0 });
    expect(await run('purge', ...ALIAS, '--yes')).to.include({ status: 0 });
    expect(await world.volumes('first')).to.deep.equal([volumeName]);
  });

  it('collect what neither of them offers', async () => {
    await run('purge', '--pool', 'first', '--yes');
    expect(await world.volumes('first')).to.deep.equal([]);
  });

  it('may not share a metadata directory: each would forget what the other offers', async () => {
    const shared = ['--metadata-dir', world.metadata];
    expect(await run('sync', '--pool', 'first', ...source(), ...shared)).to.include({ status: 0 });
    const before = await world.tree();
    for (const command of [
      ['sync', ...source()],
      ['sync', '--dry-run', ...source()],
      ['purge', '--yes'],
      ['query'],
    ] as const) {
      const refused = await run(...command, ...ALIAS, ...shared);
      expect([refused.status, refused.stdout]).to.deep.equal([2, '']);
      expect(refused.stderr.split('\n')[0]).to.equal(
        `poolkeeper: error: cannot use metadata directory '${world.metadata}' for storage pool 'alias': it is that of storage pool 'first' of ${world.libvirtd.uri}`,
      );
    }
    const isOfPool = ([path]: readonly [string, unknown]): boolean => !path.includes('/state');
    expect(Object.entries(await world.tree()).filter(isOfPool)).to.deep.equal(Object.entries(before).filter(isOfPool));
    expect(await run('query', '--pool', 'first', ...shared)).to.include({ status: 0 });
  });

  function source(): readonly string[] {
    const periods = ['--grace', '0', '--min-age', '0'];
    return ['--source', world.server.url, '--keyring', world.keyring, ...periods, 'arch=amd64'];
  }

  /** Without a metadata directory of the host's own, so that each pool has its own. */
  function run(...args: readonly string[]): Promise<Run> {
    const places = ['--state-dir', join(world.root, 'state'), '--cache-dir', join(world.root, 'cache')];
    return runProgram([...args, '--connect', world.libvirtd.uri, ...places], world.root);
  }
});
