import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startPrivateLibvirtd } from '../support/private-libvirtd.ts';
import { type Run, runProgram, World } from '../support/world.ts';

const run = promisify(execFile);
const NOW = ['--grace', '0', '--min-age', '0', '--yes', '--allow-mass-removal'];

/** Runs the daemon as a host of another name would. */
const OTHER_NAME = ['unshare', '--uts', 'sh', '-c', 'hostname elsewhere.example.com; exec "$@"', 'sh'];

/** Runs the daemon where the directory of the pool is another one, as in a container. */
function otherFiles(root: string): readonly string[] {
  const script = `mkdir -m 777 ${root}/images && mount -t tmpfs -o mode=777 poolkeeper-test ${root}/images && exec "$@"`;
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
}

/** Runs the daemon in a mount namespace of its own with the same files, as every service unit does. */
const OWN_MOUNTS = ['unshare', '--mount', '--propagation', 'slave'];

interface Host {
  readonly world: World;
  /** Names of garbage and of what a domain needs. */
  readonly unused: string;
  readonly used: string;
  gc(...words: readonly string[]): Promise<Run>;
}

/** A host with one image that waits for nothing but its deletion, and one that a domain needs. */
async function open(inside?: (root: string) => readonly string[]): Promise<Host> {
  const world = await World.start(() => startPrivateLibvirtd(inside));
  await mkdir(world.poolPath, { recursive: true });
  await world.libvirtd.give(world.poolPath);
  await world.createPool();
  await world.holdVersions('noble', ['20240101', '20240201', '20240301']);
  const [unused, used] = [world.volumeName('noble', '20240101'), world.volumeName('noble', '20240201')];
  await world.define('web1', { path: world.volumePath('noble', '20240201'), format: 'qcow2' });
  return { world, unused, used, gc: (...words) => world.poolkeeper('gc', ...NOW, ...words) };
}

async function close({ world }: Host): Promise<void> {
  await world.stop();
}

describe('a connection', () => {
  let host: Host;
  afterEach(() => close(host));

  it('is of this host whatever its address looks like, and garbage goes [E5 twin]', async () => {
    host = await open();
    const { world, unused, used } = host;
    // By its spelling it could lead anywhere: it is a command that pipes to the socket.
    const pipe = join(world.root, 'pipe.mjs');
    const socket = world.libvirtd.uri.replace(/^.*socket=/, '');
    const code = `import { connect } from 'node:net';\nconst s = connect(${JSON.stringify(socket)});\nprocess.stdin.pipe(s); s.pipe(process.stdout); s.on('close', () => process.exit(0));\n`;
    await writeFile(pipe, `#!${process.execPath}\n${code}`);
    await chmod(pipe, 0o755);
    const { status, stderr } = await host.gc('--connect', `qemu+ext:///session?command=${pipe}`);
    expect(stderr).to.equal('');
    expect(status).to.equal(0);
    expect(await world.volumes())
      .to.include(used)
      .and.not.include(unused);
  });

  it('is of this host where the daemon has mounts of its own, as in a unit [E5 twin]', async () => {
    host = await open(() => OWN_MOUNTS);
    expect(await host.gc()).to.include({ status: 0, stderr: '' });
    expect(await host.world.volumes())
      .to.include(host.used)
      .and.not.include(host.unused);
  });

  it('is not of this host by its spelling: behind a forwarded socket nothing goes [E5]', async () => {
    host = await open(() => OTHER_NAME);
    const { world, unused } = host;
    expect((await host.gc()).status).to.equal(13);
    const { status, stderr } = await host.gc('--dry-run');
    expect(status).to.equal(13);
    expect(stderr).to.contain("libvirt runs on host 'elsewhere.example.com', and this is host");
    expect(await world.volumes()).to.include(unused);
    const doctor = await world.poolkeeper('doctor');
    expect(doctor.stdout).to.match(/warning {2}files .*by the name of the host: libvirt runs on host 'elsewhere/);
  });

  it('is not of this host where the daemon sees other files: a container of the same name [E5]', async () => {
    host = await open(otherFiles);
    const { world, unused } = host;
    // Files of the same names lie here, of the same size, and even of the same times.
    await writeFile(join(world.poolPath, unused), 'x');
    const doctor = await world.poolkeeper('doctor');
    expect(doctor.stdout).to.match(/warning {2}files .*by its volumes: /);
    expect((await host.gc()).status).to.equal(13);
    const { status, stderr } = await host.gc('--dry-run');
    expect(status).to.equal(13);
    expect(stderr).to.match(/there is none here|is another one here/);
    const list = await world.libvirtd.virsh('vol-list', 'uvtool');
    expect(list).to.contain(unused);
    expect(await readdir(world.poolPath)).to.deep.equal([unused]);
  });

  it('is not proven where no volume can be compared, and nothing goes [E5]', async () => {
    host = await open();
    const { world } = host;
    const outside = join(world.libvirtd.root, 'outside');
    await mkdir(outside);
    for (const name of await readdir(world.poolPath)) {
      await run('mv', [join(world.poolPath, name), outside]);
      await symlink(join(outside, name), join(world.poolPath, name));
    }
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    const kept = await host.gc();
    expect(kept.status).to.equal(13);
    expect(kept.stderr).to.contain('not a regular file');
    expect(await world.volumes()).to.include(host.unused);
    // One file that can be compared is enough.
    await rm(join(world.poolPath, host.used));
    await run('mv', [join(outside, host.used), world.poolPath]);
    expect(await host.gc()).to.include({ status: 0 });
    expect(await world.volumes())
      .to.include(host.used)
      .and.not.include(host.unused);
  });

  it('keeps everything while another pool shows files that are not here, and nothing while that is empty [E5]', async () => {
    const beside = (root: string): readonly string[] => [
      'unshare',
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      `mkdir -m 777 ${root}/beside && mount -t tmpfs -o mode=777 poolkeeper-test ${root}/beside && exec "$@"`,
      'sh',
    ];
    host = await open(beside);
    const { world, unused, used } = host;
    await world.libvirtd.virsh('pool-define-as', 'beside', 'dir', '--target', join(world.libvirtd.root, 'beside'));
    await world.libvirtd.virsh('pool-start', 'beside');
    await world.libvirtd.virsh('vol-create-as', 'beside', 'a.qcow2', '1M', '--format', 'qcow2');
    const kept = await host.gc();
    expect(kept.status).to.equal(13);
    expect(kept.stderr).to.contain("storage pool 'beside': its files are not those of this host");
    expect(await world.volumes()).to.include(unused);
    await world.libvirtd.virsh('vol-delete', '--pool', 'beside', 'a.qcow2');
    expect(await host.gc()).to.include({ status: 0, stderr: '' });
    expect(await world.volumes())
      .to.include(used)
      .and.not.include(unused);
  });
});

describe('a pool that is not of this host', () => {
  let host: Host;
  before(async () => {
    host = await open(() => OTHER_NAME);
  });
  after(() => close(host));

  it('loses nothing to any command but delete --now, and images can be withdrawn [E6]', async () => {
    const { world, unused, used } = host;
    const before = await world.volumes();
    const foreign = join(world.poolPath, 'foreign.img');
    await writeFile(foreign, 'x');
    await utimes(foreign, 0, 0);
    await world.libvirtd.give(foreign);
    const statusOf = async (...words: readonly string[]): Promise<number> => (await world.poolkeeper(...words)).status;
    expect(await statusOf('gc', ...NOW)).to.equal(13);
    expect((await world.sync('--keep-versions', '1', '--allow-mass-removal')).status).to.equal(13);
    expect(await statusOf('orphans', '--delete', '--yes', '--min-age', '0', '--allow-mass-removal')).to.equal(13);
    const plan = join(world.root, 'plan');
    await world.poolkeeper('gc', '--grace', '0', '--min-age', '0', '--out', plan);
    await world.poolkeeper('apply', plan, '--yes');
    // It leaves the offer, waits, and can be taken back.
    const retired = await world.poolkeeper('delete', world.volumeName('noble', '20240301'));
    expect(retired.status).to.equal(0);
    expect(retired.stderr).to.contain('not proven to be files of this host');
    expect(await statusOf('undo')).to.equal(0);
    expect(await statusOf('snapshot', 'create', used)).to.equal(1);
    expect(await statusOf('persistent', world.volumeName('noble', '20240301'))).to.not.equal(0);
    expect(await statusOf('purge', '--yes')).to.equal(16);
    expect(await statusOf('purge', '--yes', '--force-in-use')).to.equal(13);
    expect(await world.volumes()).to.deep.equal([...before, 'foreign.img'].sort());
    // Only who names an image takes it upon themselves.
    const needed = await world.poolkeeper('delete', used, '--now');
    expect(needed.status).to.equal(16);
    const deleted = await world.poolkeeper('delete', unused, '--now');
    expect(deleted.status).to.equal(0);
    expect(deleted.stderr).to.contain("cannot see who has files of storage pool 'uvtool' open");
    expect(await world.volumes())
      .to.include(used)
      .and.not.include(unused);
  });

  it('gets what is new, and does not go on with what an earlier run began [E6]', async () => {
    const { world } = host;
    await world.publishRelease('jammy', '20240101');
    expect((await world.sync()).stderr).to.not.contain('jammy');
    const jammy = world.volumeName('jammy', '20240101');
    expect(await world.volumes()).to.include(jammy);
  });
});

describe('an empty pool', () => {
  let world: World;
  afterEach(() => world.stop());

  it('has nothing to lose: the first sync fills it, here and elsewhere [E5 twin]', async () => {
    world = await World.start();
    await world.createPool();
    await world.publishRelease('noble', '20240101');
    expect(await world.sync()).to.include({ status: 0, stderr: '' });
    expect((await runProgram([...world.options, 'doctor'], world.root)).stdout).to.match(/ok {7}files .*1 compared/);
  });
});
