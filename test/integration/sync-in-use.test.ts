import { expect } from 'chai';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createQcow2, qemuImg } from '../support/qemu.ts';
import { dateless, World } from '../support/world.ts';

const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';

describe('sync, while an old image is in use', () => {
  let world: World;
  let old: string;
  let fresh: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    old = world.volumeName('noble', '20240423');
    fresh = world.volumeName('noble', '20240821');
  });
  after(() => world.stop());

  beforeEach(async () => {
    await world.reset();
    await world.publishRelease('noble', '20240423');
    await world.sync();
    await world.publishRelease('noble', '20240821');
  });

  /** Syncs while domain web1 exists, and once more after it was undefined. */
  async function syncUntilFree(): Promise<void> {
    const first = await world.sync('-v');
    expect([first.status, first.stderr]).to.deep.equal([0, '']);
    expect(first.stdout).to.match(/^keep image \S+ 20240423: needed by domain web1\b/m);
    expect(first.stdout).not.to.match(/^deleted /m);
    expect(await world.volumes()).to.include.members([old, fresh]);
    expect((await world.poolkeeper('query')).stdout).to.equal('release=noble arch=amd64 label=release (20240821)\n');
    expect(await world.sync()).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    await world.libvirtd.virsh('undefine', 'web1');
  }

  it('(21) keeps it for the disk of a domain that is not running, until that is undefined', async () => {
    await world.define('web1', { pool: 'uvtool', volume: old });
    await syncUntilFree();
    const last = dateless(await world.sync());
    expect(last).to.deep.equal({
      status: 0,
      stdout: `deleted image ${NOBLE} 20240423 (1.3 MiB freed on DATE)\n`,
      stderr: '',
    });
    expect(await world.volumes()).to.deep.equal([fresh]);
  });

  it('(21) keeps it as the backing file of an overlay outside the pool, until the domain is undefined', async () => {
    const dir = await world.libvirtd.poolDir('disks');
    const middle = join(dir, 'middle.qcow2');
    await createQcow2(middle, { sizeBytes: 2 ** 20, backing: world.volumePath('noble', '20240423') });
    await createQcow2(join(dir, 'web1.qcow2'), { sizeBytes: 2 ** 20, backing: 'middle.qcow2' });
    await world.define('web1', { path: join(dir, 'web1.qcow2') });
    await syncUntilFree();
    expect((await world.sync()).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([fresh]);
  });

  it('(21) keeps it as the backing file of a foreign volume, which nothing needs, until that is gone', async () => {
    const overlay = join(world.poolPath, 'web1.qcow');
    await qemuImg('create', '-q', '-f', 'qcow2', '-u', '-b', old, '-F', 'qcow2', overlay, '1M');
    await world.libvirtd.give(overlay);
    expect((await world.sync('-v')).stdout).to.include(
      `keep image ${NOBLE} 20240423: needed by volume uvtool/web1.qcow is not managed`,
    );
    await world.libvirtd.virsh('vol-delete', 'web1.qcow', '--pool', 'uvtool');
    expect((await world.sync()).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([fresh]);
  });

  it('deletes nothing while a disk cannot be seen, says which, and makes up for it later', async () => {
    await world.define('web1', { path: join(world.root, 'unmounted/web1.qcow2') });
    const blind = await world.sync();
    expect(blind.status).to.equal(13);
    expect(blind.stdout).not.to.match(/^deleted /m);
    expect(blind.stderr).to.match(
      /^poolkeeper: error: did not delete 1 unused volume\(s\), because not everything could be seen:\n {2}image \S+\/unmounted\/web1\.qcow2: nothing is there; domain web1/,
    );
    expect(await world.volumes()).to.deep.equal([old, fresh].sort());
    await world.libvirtd.virsh('undefine', 'web1');
    expect((await world.sync()).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([fresh]);
  });

  it('stops before it deletes more than half of all images, unless told to', async () => {
    await world.define('web1', { pool: 'uvtool', volume: old });
    await world.sync();
    await world.publishRelease('noble', '20241001');
    await world.define('web2', { pool: 'uvtool', volume: fresh });
    await world.sync();
    for (const name of ['web1', 'web2']) await world.libvirtd.virsh('undefine', name);
    const run = await world.sync();
    expect(run).to.deep.equal({
      status: 13,
      stdout: '',
      stderr: [
        'poolkeeper: error: nothing was deleted: it would delete 2 of the 3 images in the pool',
        'poolkeeper: hint: look at it with --dry-run; if it is right, run once with --allow-mass-removal',
        '',
      ].join('\n'),
    });
    expect((await world.sync('--allow-mass-removal')).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20241001')]);
  });

  it('waits for the grace period and for the minimum age', async () => {
    const graceful = await world.sync('-v', '--grace', '1h');
    expect(graceful.stdout).to.match(/^keep image \S+ 20240423: needed until recently, eligible at \S+$/m);
    const young = await world.sync('-v', '--min-age', '1h');
    expect(young.stdout).to.match(/^keep image \S+ 20240423: changed recently, eligible at \S+$/m);
    expect(await world.volumes()).to.deep.equal([old, fresh].sort());
    expect(dateless(await world.sync()).stdout).to.equal(`deleted image ${NOBLE} 20240423 (1.3 MiB freed on DATE)\n`);
  });

  it('says as JSON what it says as text', async () => {
    await writeFile(join(world.poolPath, 'notes.txt'), 'foreign');
    const run = await world.sync('--json');
    const messages = run.stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as object]));
    const image = { product: NOBLE, volume: old, version: '20240423' };
    const fetched = { action: 'fetch', product: NOBLE, version: '20240821', volume: fresh };
    const numbers = messages.flatMap((message) => Object.values(message).filter((value) => typeof value === 'number'));
    const [sizeBytes, , , allocationBytes] = numbers;
    const { trash_id: trashId, freed_at: freedAt } = (messages.at(-1) ?? {}) as {
      trash_id?: string;
      freed_at?: string;
    };
    expect(trashId).to.match(/^\d{8}T\d{6}Z-[0-9a-f]{4}-1$/);
    expect(Date.parse(freedAt ?? '')).to.be.greaterThan(Date.now());
    const trash = { trash_id: trashId, freed_at: freedAt };
    const url = `${world.server.url}server/releases/noble/release-20240821/ubuntu-24.04-server-cloudimg-amd64.img`;
    expect(run.stderr).to.equal('');
    expect(messages).to.deep.equal([
      { message_type: 'step_start', ...fetched, size_bytes: sizeBytes },
      { message_type: 'step_done', ...fetched, size_bytes: sizeBytes, url, held_bytes: 0 },
      { message_type: 'step_done', action: 'retire', ...image },
      {
        message_type: 'swept',
        result: 'deleted',
        pool: 'uvtool',
        volume: old,
        allocation_bytes: allocationBytes,
        ...trash,
      },
    ]);
  });
});
