import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { chmod, mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseLeaseRight, readLeaseRight, sharedBy } from '../../src/usage/deletion-right.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { type Run, UNCOVERED, World } from '../support/world.ts';

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('../../../bin/poolkeeper.js', import.meta.url));
const NOW = ['--grace', '0', '--min-age', '0', '--yes', '--allow-mass-removal'];
const VERSIONS = ['20240101', '20240201'];

/** Runs the program with other rights than those of the test. */
async function as(rights: readonly string[], home: string, words: readonly string[]): Promise<Run> {
  const env = { PATH: process.env['PATH'], HOME: home, NO_COLOR: '1', POOLKEEPER_CONFIG: '/dev/null', ...UNCOVERED };
  return run('setpriv', [...rights, process.execPath, PROGRAM, ...words], { cwd: home, env }).then(
    (done) => ({ status: 0, ...done }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ status: code, stdout, stderr }),
  );
}

/** The account `daemon`, which every Debian system has and no file here belongs to: libvirt serves accounts only. */
const DAEMON = 1;

const asUser = (id: number): readonly string[] => [`--reuid=${id}`, `--regid=${id}`, '--clear-groups'];

describe('whoever cannot take a lease', () => {
  let world: World;
  let unused: string;
  before(async () => {
    world = await World.start();
    await world.createPool();
    await chmod(world.root, 0o755);
    // As the socket of a system daemon is open to a group.
    for (const dir of ['run', 'run/libvirt', 'run/libvirt/libvirt-sock'])
      await chmod(join(world.libvirtd.root, dir), 0o777);
    unused = world.volumeName('noble', VERSIONS[0] ?? '');
  });
  beforeEach(async () => {
    await world.reset();
    await world.holdVersions('noble', VERSIONS);
  });
  after(() => world.stop());

  /** The directories of another user, who has the same images in the same pool. */
  async function stranger(id: number): Promise<{ readonly home: string; readonly options: readonly string[] }> {
    const home = join(world.root, `home-${id}`);
    await mkdir(home, { recursive: true });
    for (const dir of ['state', 'metadata']) {
      await rm(join(home, dir), { recursive: true, force: true });
      await run('cp', ['-r', join(world.root, dir), home]);
    }
    await run('chown', ['-R', `${id}:${id}`, home]);
    const own = ['--state-dir', join(home, 'state'), '--cache-dir', join(home, 'cache')];
    return { home, options: ['-c', world.libvirtd.uri, ...own, '--metadata-dir', join(home, 'metadata')] };
  }

  it('withdraws, and deletes nothing, as a member of the group [C3]', async () => {
    const { home, options } = await stranger(DAEMON);
    const gc = await as(asUser(DAEMON), home, ['gc', ...options, ...NOW]);
    expect(gc.stderr).to.contain('without CAP_LEASE only the owner of a file can tell');
    expect(gc.status).to.equal(13);
    const list = await as(asUser(DAEMON), home, ['list', ...options]);
    expect(list.stdout).to.contain('pending_delete');
    expect((await as(asUser(DAEMON), home, ['delete', unused, '--now', ...options])).status).to.equal(13);
    expect((await as(asUser(DAEMON), home, ['purge', '--yes', '--force-in-use', ...options])).status).to.equal(13);
    expect(await world.volumes()).to.include(unused);
    const doctor = await as(asUser(DAEMON), home, ['doctor', ...options]);
    expect(doctor.stdout).to.match(/warning {2}deletion .*the pool belongs to somebody else/);
  });

  it('deletes nothing as root without the capability, and root with it does [C3]', async () => {
    const rights = ['--bounding-set=-lease', '--inh-caps=-lease'];
    const kept = await as(rights, world.root, ['gc', ...world.options, ...NOW]);
    expect(kept.status).to.equal(13);
    expect(await world.volumes()).to.include(unused);
    expect(await world.poolkeeper('gc', ...NOW)).to.include({ status: 0, stderr: '' });
    expect(await world.volumes()).to.not.include(unused);
  });

  it('deletes its own files with a libvirt of its own session, and keeps those of others [C3]', async () => {
    const { home, options } = await stranger(65_534);
    await run('chown', ['0:0', join(world.poolPath, unused)]);
    await chmod(join(world.poolPath, unused), 0o644);
    const kept = await as(asUser(65_534), home, ['gc', ...options, ...NOW]);
    expect(kept.stderr).to.contain('1 file(s) belong to somebody else');
    expect(kept.status).to.equal(13);
    expect(await world.volumes()).to.include(unused);
    await world.libvirtd.give(join(world.poolPath, unused));
    expect(await as(asUser(65_534), home, ['gc', ...options, ...NOW])).to.include({ status: 0, stderr: '' });
    expect(await world.volumes()).to.not.include(unused);
  });

  it('is told by what the kernel says of the process', () => {
    const status = (uid: string, capabilities: string): string => `Name:\tx\nUid:\t${uid}\nCapEff:\t${capabilities}\n`;
    expect(parseLeaseRight(status('0\t0\t0\t0', '000001fffeffffff'))).to.deep.equal({ uid: 0, isUnlimited: true });
    expect(parseLeaseRight(status('0\t0\t0\t0', '000001ffeeffffff'))).to.deep.equal({ uid: 0, isUnlimited: false });
    expect(parseLeaseRight(status('1\t2\t3\t4', '0000000010000000'))).to.deep.equal({ uid: 4, isUnlimited: true });
    expect(parseLeaseRight('')).to.deep.equal({ uid: undefined, isUnlimited: false });
    expect(readLeaseRight('/nowhere')).to.deep.equal({ uid: undefined, isUnlimited: false });
  });
});

describe('storage that other hosts can see', () => {
  it('is told by the number of its file system, and what nobody knows counts as shared [E7]', async () => {
    const shared = {
      nfs: 0x6969,
      ceph: 0xc36400,
      gfs2: 0x1161970,
      ocfs2: 0x7461636f,
      smb2: 0xfe534d42,
      cifs: 0xff534d42,
    };
    const others = { v9fs: 0x1021997, fuse: 0x65735546, unknown: 0x12345678, signed: 0xff534d42 | 0 };
    for (const [name, number] of Object.entries({ ...shared, ...others }))
      expect(sharedBy(number), name).to.match(/host/);
    const local = {
      ext4: 0xef53,
      xfs: 0x58465342,
      btrfs: 0x9123683e,
      zfs: 0x2fc12fc1,
      tmpfs: 0x1021994,
      f2fs: 0xf2f52010,
    };
    for (const [name, number] of Object.entries(local)) expect(sharedBy(number), name).to.equal(undefined);
    expect(sharedBy((await statfs('/dev/shm')).type)).to.equal(undefined);
  });

  describe('on a file system in user space', () => {
    let world: World;
    let store: string;
    before(async () => {
      world = await World.start();
      store = await world.libvirtd.poolDir('store');
      await mkdir(world.poolPath);
      await run('bindfs', ['-o', 'allow_other', store, world.poolPath]);
      await world.createPool();
      await world.holdVersions('noble', VERSIONS);
    });
    after(async () => {
      await run('umount', ['-l', world.poolPath]);
      await world.stop();
    });

    it('keeps what nothing here needs, and loses it once it is said that nobody else does [E7]', async () => {
      const unused = world.volumeName('noble', VERSIONS[0] ?? '');
      const config = join(world.root, 'config.yaml');
      const gc = async (storage: string, ...words: readonly string[]): Promise<Run> => {
        await writeFile(config, `${world.configuration()}${storage}`);
        return world.poolkeeper('gc', '--config', config, ...NOW, ...words);
      };
      for (const storage of ['', 'storage: {other: {shared: no}}\n', 'storage: {uvtool: {shared: yes}}\n']) {
        expect((await gc(storage)).status, storage).to.equal(13);
        const kept = await gc(storage, '--dry-run');
        expect(kept.status, storage).to.equal(13);
        expect(kept.stderr).to.match(/FUSE or virtiofs, which other hosts can see|other hosts use it/);
        expect(await world.volumes()).to.include(unused);
      }
      expect((await world.poolkeeper('doctor')).stdout).to.match(/warning {2}deletion .*FUSE/);
      const gone = await gc('storage: {uvtool: {shared: no}}\n');
      expect(gone.status).to.equal(0);
      expect(gone.stderr).to.match(
        /^(poolkeeper: warning: .* cannot be brought back: there is no place for a trash .*\n)?$/,
      );
      expect(await world.volumes()).to.not.include(unused);
    });
  });

  it('may be a disk of this host alone, and garbage goes from it [E7 twin]', async () => {
    const world = await World.start();
    const disk = await SmallDisk.mount(world.poolPath, { sizeKib: 16 * 1024, mode: '777' });
    try {
      await world.createPool();
      await world.holdVersions('noble', VERSIONS);
      const gone = await world.poolkeeper('gc', ...NOW);
      expect(gone.status).to.equal(0);
      // The pool is a mount point, so nothing beside it is on the same file system, and inside it uvtool writes.
      expect(gone.stderr).to.match(
        /^poolkeeper: warning: .* cannot be brought back: there is no place for a trash .*\n$/,
      );
      expect(await world.volumes()).to.have.lengthOf(1);
    } finally {
      await disk.unmount();
      await world.stop();
    }
  });
});
