import { expect } from 'chai';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runInProcess } from '../support/in-process.ts';
import { jsonLines } from '../support/json-lines.ts';
import { createQcow2, qemuIo } from '../support/qemu.ts';
import { type Snapshot, takeSnapshot } from '../support/snapshot.ts';
import { type Run, World } from '../support/world.ts';

const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';
const OLD = '20240423';
const NEW = '20240821';

describe('what an administrator decides about images', () => {
  let world: World;
  let snapshot: Snapshot;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.publishRelease('noble', OLD);
    await world.sync();
    await world.publishRelease('noble', OLD, NEW);
    await world.sync('--keep-versions', '2');
    const own = await world.image('golden');
    await world.poolkeeper('import', own, '--name', 'golden');
    snapshot = await takeSnapshot(world);
  });
  after(() => world.stop());
  beforeEach(() => snapshot.rewind());

  const pk = (...args: readonly string[]): Promise<Run> => runInProcess(world, args);

  /** The first line of an error, without the program's name. */
  const errorOf = ({ status, stderr }: Run): readonly [number, string] => [
    status,
    (stderr.split('\n')[0] ?? '').replace('poolkeeper: error: ', ''),
  ];

  async function shown(image: string): Promise<Record<string, unknown>> {
    return jsonLines((await pk('show', image, '--json')).stdout)[0] ?? {};
  }

  /** Makes an overlay on an image and a domain that uses it. */
  async function useOverlay(domain: string, base: string): Promise<void> {
    const path = join(world.poolPath, `${domain}.qcow2`);
    await createQcow2(path, { sizeBytes: 2 ** 20, backing: base });
    await world.libvirtd.give(path);
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    await world.define(domain, { pool: 'uvtool', volume: `${domain}.qcow2` });
  }

  it('delete refuses what is in use, and names everything that uses it', async () => {
    await useOverlay('web1', world.volumePath('noble', NEW));
    await world.define('web2', { path: world.volumePath('noble', NEW) });
    for (const more of [[], ['--now']]) {
      expect(errorOf(await pk('delete', NOBLE, NEW, ...more))).to.deep.equal([
        16,
        `cannot delete image ${NOBLE} ${NEW}: needed by domain web1, domain web2`,
      ]);
    }
    expect(await shown(world.volumeName('noble', NEW))).to.include({ status: 'active', is_offered: true });
    await pk('lock', NOBLE, OLD, '--reason', 'audit');
    expect(errorOf(await pk('delete', NOBLE, OLD, '--now'))).to.deep.equal([
      16,
      `cannot delete image ${NOBLE} ${OLD}: needed by the administrator's lock (audit)`,
    ]);
  });

  it('delete does nothing at all unless it may delete all that are named', async () => {
    await world.define('web2', { path: world.volumePath('noble', NEW) });
    const names = [world.volumeName('noble', OLD), world.volumeName('noble', NEW)];
    expect((await pk('delete', ...names)).status).to.equal(16);
    expect(await shown(names[0] ?? '')).to.include({ status: 'active' });
  });

  it('what was deleted comes back with undo, or goes at once with --now', async () => {
    const volume = world.volumeName('noble', NEW);
    const run = await pk('delete', volume);
    expect(run.stdout).to.match(
      /^image \S+ 20240821 now waits for its deletion; 'poolkeeper undo \S+' takes it back\n$/,
    );
    expect(errorOf(await pk('path', volume))[1]).to.equal(
      `cannot tell the path of image ${NOBLE} ${NEW}: it waits for its deletion`,
    );
    expect((await pk('undo')).stdout).to.equal(`took image ${NOBLE} ${NEW} back and offered it\n`);
    expect((await pk('path', volume)).status).to.equal(0);
    const gone = await pk('delete', volume, 'golden', '--now');
    expect([gone.status, gone.stderr]).to.deep.equal([0, '']);
    expect(gone.stdout)
      .to.match(/^deleted image com\S+ 20240821 \(/m)
      .and.to.match(/^deleted image local:golden /m);
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', OLD)]);
    expect(await shown(volume)).to.include({ status: 'deleted' });
    expect(errorOf(await pk('delete', volume))).to.deep.equal([
      4,
      `cannot delete image ${NOBLE} ${NEW}: it was deleted`,
    ]);
  });

  it('a sync neither offers nor fetches what is disabled, and does not fail because of it', async () => {
    expect((await pk('disable', NOBLE, NEW)).stdout).to.equal(`disabled image ${NOBLE} ${NEW}\n`);
    const requests = world.server.requests.length;
    const run = await world.sync('--keep-versions', '2');
    expect(run).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    expect(world.imageRequests(requests)).to.equal(0);
    expect((await pk('query')).stdout).not.to.include(NEW);
    expect((await world.sync('--keep-versions', '2', '-v')).stdout).to.include(
      `skipped image ${NOBLE} ${NEW}: it is disabled\n`,
    );
    expect((await pk('enable', world.volumeName('noble', NEW))).stdout).to.equal(
      `enabled image ${NOBLE} ${NEW} and offered it\n`,
    );
    expect((await pk('query')).stdout).to.include(NEW);
  });

  it('a persistent image has one user, is shared with nobody, and is not deleted', async () => {
    const path = (await pk('path', 'golden')).stdout.trim();
    await world.define('db1', { path });
    await world.define('db2', { path });
    const [status, message] = errorOf(await pk('persistent', 'golden'));
    expect([status, message.replace(/\d{8}T\d{6}Z/, 'TIME')]).to.deep.equal([
      16,
      'cannot make image local:golden TIME persistent: 2 use it: domain db1, domain db2',
    ]);
    await world.libvirtd.virsh('undefine', 'db2');
    expect((await pk('persistent', 'golden')).stdout).to.match(/^image local:golden \S+ is persistent now\n$/);
    expect((await pk('clone', 'golden', 'web1', '--overlay')).stderr).to.include('it is persistent, and the domain');
    expect((await pk('delete', 'golden')).status).to.equal(16);
    expect(errorOf(await pk('nonpersistent', 'golden'))[1]).to.match(/: it is used by domain db1$/);
    await useOverlay('web1', world.volumePath('noble', NEW));
    expect(errorOf(await pk('persistent', world.volumeName('noble', NEW)))).to.deep.equal([
      16,
      `cannot make image ${NOBLE} ${NEW} persistent: other images stand on it: volume uvtool/web1.qcow2`,
    ]);
  });

  it('an image that a domain wrote to is what it is now, and no longer its source’s', async () => {
    await pk('persistent', 'golden');
    await qemuIo((await pk('path', 'golden', '--any')).stdout.trim(), 'write -P 0x61 0 64k');
    expect((await pk('nonpersistent', 'golden')).stdout).to.match(
      /^image local:golden \S+ is not persistent any more\n$/,
    );
    expect((await pk('verify', 'golden')).status).to.equal(0);

    const volume = world.volumeName('noble', NEW);
    expect((await pk('persistent', volume)).stdout).to.include('is persistent now, and no longer offered');
    expect((await world.sync('--keep-versions', '2')).status).to.equal(0);
    expect((await pk('query')).stdout).not.to.include(NEW);
    expect((await pk('nonpersistent', volume)).stdout).to.equal(`image ${NOBLE} ${NEW} is not persistent any more\n`);
    expect((await pk('query')).stdout).to.include(NEW);
    await pk('persistent', volume);
    await qemuIo(world.volumePath('noble', NEW), 'write -P 0x61 0 64k');
    expect((await pk('nonpersistent', volume)).stdout).to.include('it is disabled, because its content is no longer');
    expect(await shown(volume)).to.include({ status: 'deactivated', is_offered: false, source: 'changed here' });
  });

  it('names, tags and types are written down, and found again', async () => {
    expect((await pk('rename', NOBLE, NEW, 'base')).status).to.equal(0);
    expect((await pk('path', 'base')).stdout.trim()).to.equal(world.volumePath('noble', NEW));
    expect(errorOf(await pk('rename', 'base', 'golden'))[1]).to.match(
      /: image local:golden \S+ is called 'golden' already$/,
    );
    expect((await pk('update', 'golden', '--tag', 'release=mine', '--tag', 'arch=amd64')).status).to.equal(0);
    expect((await pk('query', 'release=mine')).stdout).to.match(/^release=mine arch=amd64 label= /);
    expect((await pk('update', 'release=mine', '--untag', 'arch')).status).to.equal(0);
    expect((await shown('golden'))['tags'])
      .to.include({ release: 'mine' })
      .and.not.to.have.property('arch');
    expect(errorOf(await pk('update', 'golden', '--tag', 'size=1'))).to.deep.equal([
      2,
      "tag 'size' cannot be given: it follows from the image",
    ]);
    expect((await pk('update', 'base', '--tag', 'release=x')).stderr).to.include('release is given by its source');
    expect((await pk('chtype', 'golden', 'datablock')).status).to.equal(0);
    expect(await shown('golden')).to.include({ type: 'datablock' });
    expect((await pk('chtype', 'golden', 'floppy')).status).to.equal(2);
  });

  it('the permissions of a volume are those of its file', async () => {
    const path = (await pk('path', 'golden')).stdout.trim();
    const before = await readFile(path);
    expect((await pk('chmod', 'golden', '640')).status).to.equal(0);
    expect((await stat(path)).mode & 0o777).to.equal(0o640);
    const { uid, gid } = await stat(path);
    expect((await pk('chown', 'golden', `${uid}:${gid}`)).status).to.equal(0);
    expect(errorOf(await pk('chown', 'golden', 'no-such-user-here'))).to.deep.equal([
      2,
      "there is no user 'no-such-user-here' on this host",
    ]);
    expect((await pk('chmod', 'golden', '777')).status).to.equal(2);
    expect(await readFile(path)).to.deep.equal(before);
  });

  it('the permissions of a clone are changed like those of an image, by its whole name', async () => {
    const path = (await pk('clone', 'golden', 'web1.qcow2')).stdout.trim();
    const image = await stat((await pk('path', 'golden')).stdout.trim());
    const run = await pk('chmod', 'web1.qcow2', '660', '--json');
    expect(jsonLines(run.stdout)).to.deep.equal([
      { message_type: 'permissions_changed', volume: 'web1.qcow2', path, mode: '660' },
    ]);
    const { uid, gid, mode } = await stat(path);
    expect(mode & 0o777).to.equal(0o660);
    expect((await pk('chown', 'web1.qcow2', `${uid}:${gid}`)).stdout).to.equal(
      `changed volume 'web1.qcow2' to ${uid}:${gid}\n`,
    );
    expect(await stat((await pk('path', 'golden')).stdout.trim())).to.include({ mode: image.mode, uid: image.uid });
    expect(errorOf(await pk('chmod', 'web1', '660'))).to.deep.equal([4, "no image is called 'web1'"]);
    expect((await pk('chmod', '../web1.qcow2', '660')).status).to.equal(4);
    await world.libvirtd.virsh('vol-delete', 'web1.qcow2', '--pool', 'uvtool');
  });

  it('permissions that libvirt may not give leave nothing behind', async () => {
    const config = join(world.root, 'permissions.yaml');
    await writeFile(config, 'permissions: { owner: 4242, group: 4242, mode: 0640 }\n');
    const volumes = await world.volumes();
    const refused = await pk('clone', 'golden', 'web1.qcow2', '--config', config);
    expect(refused.status).to.equal(10);
    expect(refused.stderr).to.include(`cannot chown ${join(world.poolPath, 'web1.qcow2')} to (4242, 4242)`);
    expect(await world.volumes()).to.deep.equal(volumes);
    await writeFile(config, 'permissions: { mode: 0640 }\n');
    const path = (await pk('clone', 'golden', 'web1.qcow2', '--config', config)).stdout.trim();
    expect((await stat(path)).mode & 0o777).to.equal(0o640);
    await world.libvirtd.virsh('vol-delete', 'web1.qcow2', '--pool', 'uvtool');
  });
});
