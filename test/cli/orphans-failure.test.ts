import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createQcow2 } from '../support/qemu.ts';
import { type Run, World } from '../support/world.ts';

const runCommand = promisify(execFile);

describe('poolkeeper orphans --delete, when an overlay in another pool cannot be deleted', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());

  it('keeps what the overlay stands on, and says what failed', async () => {
    const base = join(world.poolPath, 'base.qcow2');
    await createQcow2(base, { sizeBytes: 2 ** 20 });
    await world.libvirtd.give(base);
    const second = await world.libvirtd.poolDir('second');
    const overlay = join(second, 'overlay.qcow2');
    await createQcow2(overlay, { sizeBytes: 2 ** 20, backing: base });
    await world.libvirtd.give(overlay);
    await world.libvirtd.virsh('pool-define-as', 'second', 'dir', '--target', second);
    await world.libvirtd.virsh('pool-start', 'second');
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    const words = ['--all-pools', '--delete', '--yes', '--min-age', '0', '--allow-mass-removal'];
    // In an immutable directory nobody can delete, not even root.
    await runCommand('chattr', ['+i', second]);
    let run: Run;
    try {
      run = await world.poolkeeper('orphans', ...words);
    } finally {
      await runCommand('chattr', ['-i', second]);
    }
    expect(run.status).to.equal(3);
    expect(run.stderr).to.include('overlay.qcow2');
    expect(run.stdout).to.include("spared volume 'base.qcow2' in pool 'uvtool'");
    expect(await world.volumes()).to.deep.equal(['base.qcow2']);
    expect(await world.volumes('second')).to.deep.equal(['overlay.qcow2']);
  });
});
