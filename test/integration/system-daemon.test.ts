import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { decodeVolumeName } from '../../src/core/identity.ts';
import { until } from '../support/aftermath.ts';
import { jsonLines } from '../support/json-lines.ts';
import { qemuImg } from '../support/qemu.ts';
import { QEMU_USER, startSystemLibvirtd, type SystemLibvirtd } from '../support/system-libvirtd.ts';
import { rejection } from '../support/rejection.ts';
import { PROGRAM, type Run, startWords, World } from '../support/world.ts';

const run = promisify(execFile);

const QEMU = `${QEMU_USER.uid}:${QEMU_USER.gid}`;

/** Hosts of root's libvirt, by how QEMU's user gets at images. */
const HOSTS = [
  {
    title: 'that gives images to QEMU',
    isOwnershipDynamic: true,
    permissions: [],
    made: '0:0 600',
    running: `${QEMU} 600`,
  },
  {
    title: 'that gives images to QEMU, with permissions of its own',
    isOwnershipDynamic: true,
    permissions: ['permissions:', `  owner: ${QEMU_USER.name}`, `  group: ${QEMU_USER.name}`, '  mode: 0640'],
    made: `${QEMU} 640`,
    running: `${QEMU} 640`,
  },
  {
    title: 'that leaves images as they are',
    isOwnershipDynamic: false,
    permissions: ['permissions:', `  group: ${QEMU_USER.name}`, '  mode: 0660'],
    made: `0:${QEMU_USER.gid} 660`,
    running: `0:${QEMU_USER.gid} 660`,
  },
] as const;

for (const { title, isOwnershipDynamic, permissions, made, running } of HOSTS) {
  describe(`a system libvirtd ${title}`, () => {
    let world: World;
    let libvirtd: SystemLibvirtd;

    before(async () => {
      world = await World.start(async () => (libvirtd = await startSystemLibvirtd({ isOwnershipDynamic })));
      await writeFile(join(world.root, 'permissions.yaml'), [...permissions, ''].join('\n'));
      await world.createPool();
      await world.publishRelease('noble', '20240423');
    });
    after(() => world.stop());

    /** Where libvirtd runs, with its files and accounts. */
    const attempt = (...args: readonly string[]): Promise<Run> =>
      startWords(
        libvirtd.inside(...world.commandLine([...args, '--config', join(world.root, 'permissions.yaml')])),
        world.root,
      ).ended;

    async function pk(...args: readonly string[]): Promise<string> {
      const { status, stdout, stderr } = await attempt(...args);
      expect({ status, stderr }, args.join(' ')).to.deep.equal({ status: 0, stderr: '' });
      return stdout;
    }

    const sync = (...args: readonly string[]) =>
      pk('sync', '--source', world.server.url, '--keyring', world.keyring, '--grace', '0', '--min-age', '0', ...args);

    const pathOf = async (image: string): Promise<string> => (await pk('path', image, '--any')).trim();

    /** Owner, group and mode of every file of the pool, by name. */
    async function files(): Promise<Readonly<Record<string, string>>> {
      const found: Record<string, string> = {};
      for (const name of await readdir(world.poolPath)) {
        const { uid, gid, mode } = await stat(join(world.poolPath, name));
        found[name] = `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
      }
      return found;
    }

    /** The files that a volume consists of, the outermost first. */
    async function chainOf(path: string): Promise<readonly string[]> {
      const chain = JSON.parse(await qemuImg('info', '-U', '--backing-chain', '--output=json', path)) as {
        filename: string;
      }[];
      return chain.map(({ filename }) => filename);
    }

    /** Starts a domain, lets QEMU's user read everything that its disk stands on, and leaves it running. */
    async function start(domain: string, disk: string): Promise<void> {
      await libvirtd.virsh('start', '--paused', domain);
      const account = [`--reuid=${QEMU_USER.uid}`, `--regid=${QEMU_USER.gid}`, '--clear-groups'];
      for (const path of await chainOf(disk)) {
        const { stdout } = await run('setpriv', [...account, 'head', '-c', '3', path]);
        expect(stdout, path).to.equal('QFI');
      }
    }

    it('makes every volume with one owner, group and mode', async () => {
      await sync('arch=amd64');
      const base = await world.image('own');
      await qemuImg('convert', '-O', 'vmdk', '-o', 'subformat=monolithicSparse', base, join(world.root, 'own.vmdk'));
      await qemuImg('convert', '-O', 'vhdx', base, join(world.root, 'own.vhdx'));
      await qemuImg('convert', '-O', 'raw', base, join(world.root, 'own.raw'));
      await pk('import', base, '--name', 'qcow2');
      await pk('import', join(world.root, 'own.vmdk'), '--name', 'vmdk');
      await pk('import', join(world.root, 'own.vhdx'), '--name', 'vhdx');
      await pk('import', join(world.root, 'own.raw'), '--name', 'raw', '--type', 'datablock');
      await pk('create', '--name', 'empty', '--size', '1M');
      await pk('create', '--name', 'empty-raw', '--size', '1M', '--format', 'raw');
      await pk('clone', 'qcow2', 'copy', '--full');
      await pk('clone', 'release=noble', 'overlay', '--overlay');
      await pk('persistent', 'vmdk');
      await pk('snapshot', 'create', 'vmdk', 'first');
      // What stands on something is flattened by libvirt, then copied.
      await pk('clone', 'vmdk', 'flat', '--full', '--any');
      await pk('snapshot', 'create', 'vmdk', 'second');
      await pk('snapshot', 'revert', 'vmdk', 'first', '--yes');
      await pk('snapshot', 'flatten', 'vmdk');
      const found = await files();
      // Seven images, two snapshots, three clones.
      expect(Object.keys(found)).to.have.lengthOf(12);
      expect(new Set(Object.values(found))).to.deep.equal(new Set([made]));
    });

    it('starts a domain on a clone, whose whole chain QEMU can read, and keeps that chain', async () => {
      const overlay = join(world.poolPath, 'overlay');
      await world.define('web1', { path: overlay });
      await start('web1', overlay);
      const base = world.volumePath('noble', '20240423');
      expect(await chainOf(overlay)).to.deep.equal([overlay, base]);
      const found = await files();
      expect([found['overlay'], found[world.volumeName('noble', '20240423')]]).to.deep.equal([running, running]);

      await world.publishRelease('noble', '20240821');
      const report = await sync('-v', 'arch=amd64');
      expect(report).to.match(/^keep image \S+ 20240423: needed by domain web1$/m);
      await libvirtd.virsh('destroy', 'web1');
      const gc = await pk('gc', '-v', '--grace', '0', '--min-age', '0');
      expect(gc).to.match(/20240423: needed by domain web1 through volume uvtool\/overlay$/m);
      await start('web1', overlay);
      await libvirtd.virsh('destroy', 'web1');
      // libvirt takes back what a domain writes to, and leaves with QEMU's user what that stands on.
      const after = await files();
      expect(after['overlay']).to.equal(made);
      expect(after[world.volumeName('noble', '20240423')]).to.equal(running);
      expect(after[world.volumeName('noble', '20240821')]).to.equal(made);
    });

    it('starts a domain on a persistent image before and after a snapshot of it', async () => {
      const path = await pathOf('vmdk');
      await world.define('data', { path });
      await start('data', path);
      const refused = await attempt('snapshot', 'create', 'vmdk', 'third');
      expect(refused.status, refused.stderr).to.equal(16);
      await libvirtd.virsh('destroy', 'data');
      await pk('snapshot', 'create', 'vmdk', 'third');
      await start('data', path);
      expect(await chainOf(path)).to.have.lengthOf(2);
      await libvirtd.virsh('destroy', 'data');
      await pk('snapshot', 'revert', 'vmdk', 'second', '--yes');
      await start('data', path);
      await libvirtd.virsh('destroy', 'data');
      expect((await files())[path.slice(world.poolPath.length + 1)]).to.equal(made);
    });

    it('deletes what nothing needs any more, whoever owns it by then, and nothing else', async () => {
      const names = new Set(Object.keys(await files()));
      await libvirtd.virsh('undefine', 'web1');
      await libvirtd.virsh('vol-delete', 'overlay', '--pool', 'uvtool');
      await pk('delete', 'raw', '--now');
      await pk('snapshot', 'delete', 'vmdk', 'third');
      await sync('arch=amd64');
      const left = new Set(Object.keys(await files()));
      const gone = [...names].filter((name) => !left.has(name)).map((name) => decodeVolumeName(name)?.product ?? name);
      expect(gone.sort()).to.deep.equal([
        'com.ubuntu.cloud:server:24.04:amd64',
        'local:raw',
        'local:vmdk@third',
        'overlay',
      ]);
      await start('data', await pathOf('vmdk'));
      await libvirtd.virsh('destroy', 'data');
    });

    it('is found well by the doctor', async () => {
      const { stdout } = await attempt('doctor', '--json');
      const access = jsonLines(stdout).filter(({ check }) => check === 'access');
      expect(access.map(({ level }) => level)).to.deep.equal(['ok', 'ok']);
    });
  });
}

describe('a system libvirtd that leaves images as they are, of which the configuration says nothing', () => {
  let world: World;
  let libvirtd: SystemLibvirtd;
  let overlay: string;

  before(async () => {
    world = await World.start(async () => (libvirtd = await startSystemLibvirtd({ isOwnershipDynamic: false })));
    await world.createPool();
    overlay = join(world.poolPath, 'web1.qcow2');
    await world.publishRelease('noble', '20240423');
    await mkdir(join(world.root, 'bin'));
    await symlink(PROGRAM, join(world.root, 'bin/poolkeeper'));
    await configure();
  });
  after(() => world.stop());

  const configure = (...lines: readonly string[]) =>
    writeFile(join(world.root, 'config.yaml'), [world.configuration(), ...lines, ''].join('\n'));

  /** Runs a line as somebody would who typed it on that host. */
  const type = (line: string): Promise<Run> => {
    const env = {
      POOLKEEPER_CONFIG: join(world.root, 'config.yaml'),
      PATH: `${world.root}/bin:${process.env['PATH']}`,
    };
    return startWords(libvirtd.inside('sh', '-c', line), world.root, env).ended;
  };

  async function findings(): Promise<readonly (readonly unknown[])[]> {
    const { stdout } = await type('poolkeeper doctor --json');
    const access = jsonLines(stdout).filter(({ check }) => check === 'access');
    return access.map(({ level, message, fix }) => [level, message, fix]);
  }

  it('starts no domain, and the doctor says why and what helps', async () => {
    expect((await type('poolkeeper sync arch=amd64 && poolkeeper clone release=noble web1.qcow2')).status).to.equal(0);
    await world.define('web1', { path: overlay });
    await rejection(libvirtd.virsh('start', '--paused', 'web1'));
    const volume = world.volumeName('noble', '20240423');
    expect(await findings()).to.deep.equal([
      ['ok', `QEMU's user can enter '${world.poolPath}'`, undefined],
      [
        'problem',
        `dynamic_ownership is off, and QEMU's user cannot read new images, which get mode 0600 and belong to 0:0`,
        `write into the configuration: permissions: { group: ${QEMU_USER.gid}, mode: 0640 }`,
      ],
      [
        'warning',
        `QEMU's user (${QEMU}) cannot read volume '${volume}', which has mode 0600 and belongs to 0:0; libvirt does not change that, since dynamic_ownership is off`,
        `poolkeeper chown ${volume} :${QEMU_USER.gid} && poolkeeper chmod ${volume} 640`,
      ],
    ]);
  });

  it('starts it once the image can be read, and the clone written', async () => {
    for (const [, , fix] of (await findings()).slice(2)) {
      expect(await type(String(fix))).to.include({ status: 0, stderr: '' });
    }
    await rejection(libvirtd.virsh('start', '--paused', 'web1'));
    expect(
      (await type(`poolkeeper chown web1.qcow2 ${QEMU_USER.name} && poolkeeper chmod web1.qcow2 600`)).stdout,
    ).to.equal(`changed volume 'web1.qcow2' to ${QEMU_USER.name}\nchanged volume 'web1.qcow2' to 600\n`);
    await libvirtd.virsh('start', '--paused', 'web1');
    await libvirtd.virsh('destroy', 'web1');
    expect((await stat(overlay)).uid).to.equal(QEMU_USER.uid);
  });

  it('is found well by the doctor once new images are made so that QEMU can read them', async () => {
    await configure(`permissions: { group: ${QEMU_USER.gid}, mode: 0640 }`);
    expect(await findings()).to.deep.equal([
      ['ok', `QEMU's user can enter '${world.poolPath}'`, undefined],
      ['ok', `QEMU's user (${QEMU}) can read every image`, undefined],
    ]);
    await world.publishRelease('noble', '20240821');
    expect((await type('poolkeeper sync arch=amd64')).status).to.equal(0);
    const { uid, gid, mode } = await stat(world.volumePath('noble', '20240821'));
    expect([uid, gid, mode & 0o777]).to.deep.equal([0, QEMU_USER.gid, 0o640]);
    await configure('permissions: { owner: nobody-at-all }');
    expect((await findings())[1]).to.deep.equal([
      'problem',
      `there is no user 'nobody-at-all' on this host`,
      `give a number, or a name that 'getent passwd' lists`,
    ]);
    const refused = await type('poolkeeper sync arch=amd64');
    expect([refused.status, refused.stderr.split('\n')[0]]).to.deep.equal([
      2,
      `poolkeeper: error: there is no user 'nobody-at-all' on this host`,
    ]);
  });

  it('lets the doctor name a folder that QEMU cannot enter, and that alone', async () => {
    await configure(`permissions: { group: ${QEMU_USER.gid}, mode: 0640 }`);
    await chmod(world.poolPath, 0o750);
    expect((await findings())[0]).to.deep.equal([
      'warning',
      `QEMU's user may not be able to enter '${world.poolPath}' on the way to the images`,
      `chmod o+x '${world.poolPath}'`,
    ]);
    await chown(world.poolPath, 0, QEMU_USER.gid);
    expect((await findings())[0]?.[0]).to.equal('ok');
  });
});

describe('a system libvirtd that ends when nobody needs it', () => {
  let world: World;
  let libvirtd: SystemLibvirtd;

  before(async () => {
    const options = { isOwnershipDynamic: true, endsWhenIdle: true };
    world = await World.start(async () => (libvirtd = await startSystemLibvirtd(options)));
    await world.createPool();
    await world.publishRelease('noble', '20240423');
  });
  after(() => world.stop());

  /** Runs a command once the daemon has ended, so that it is the command that starts it. */
  async function pk(...args: readonly string[]): Promise<string> {
    await until(async () => !(await libvirtd.isAwake()), 60_000);
    const starts = await libvirtd.starts();
    const { status, stdout, stderr } = await startWords(libvirtd.inside(...world.commandLine(args)), world.root).ended;
    expect({ status, stderr }, args.join(' ')).to.deep.equal({ status: 0, stderr: '' });
    expect(await libvirtd.starts()).to.be.greaterThan(starts);
    return stdout;
  }

  const sync = () =>
    pk(
      'sync',
      '-v',
      '--source',
      world.server.url,
      '--keyring',
      world.keyring,
      '--grace',
      '0',
      '--min-age',
      '0',
      'arch=amd64',
    );

  it('is started by each command, which finds pool, images and what needs them as they were', async () => {
    expect(await sync()).to.match(/^fetched image \S+ 20240423 /m);
    const overlay = (await pk('clone', 'release=noble', 'web1.qcow2')).trim();
    await world.define('web1', { path: overlay });
    await world.publishRelease('noble', '20240821');
    expect(await sync()).to.match(/^keep image \S+ 20240423: needed by domain web1 through /m);
    await libvirtd.virsh('undefine', 'web1');
    expect(await pk('gc', '-v', '--grace', '0', '--min-age', '0')).to.match(
      /^keep image \S+ 20240423: needed by volume uvtool\/web1\.qcow2/m,
    );
    await libvirtd.virsh('vol-delete', 'web1.qcow2', '--pool', 'uvtool');
    expect(await pk('gc', '--yes', '--grace', '0', '--min-age', '0')).to.match(/^deleted image \S+ 20240423 /m);
    expect(await readdir(world.poolPath)).to.deep.equal([world.volumeName('noble', '20240821')]);
  });
});
