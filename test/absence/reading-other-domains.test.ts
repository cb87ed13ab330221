import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Mounting } from '../support/mounting.ts';
import { type PrivateLibvirtd, startPrivateLibvirtd } from '../support/private-libvirtd.ts';
import { fateOf, fileDisk, openStages, type Stage } from '../support/scenario.ts';
import { type Run, World } from '../support/world.ts';

/** Replaces places of the host for one command, in a mount namespace of its own. */
const ELSEWHERE = [
  'mount --rbind "$1/home" /home',
  'mount --bind "$1/passwd" /etc/passwd',
  'mount --bind "$1/libvirt" /etc/libvirt',
  'shift',
  'exec "$@"',
].join(' && ');

describe('domains of daemons that nobody asks', () => {
  let world: World;
  let other: PrivateLibvirtd;
  let stages: Stage[];
  let stage: Stage;
  let host: string;
  const mounting = new Mounting();

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.publishRelease('noble', '20240821');
    expect((await world.sync('arch=amd64')).status).to.equal(0);
    other = await startPrivateLibvirtd();
    stages = [...(await openStages(world, 8))];
  });
  beforeEach(async () => {
    stage = stages.shift() ?? expect.fail('no stage');
    host = join(stage.outside, 'host');
    await mkdir(join(host, 'home'), { recursive: true });
    await mkdir(join(host, 'libvirt/lxc'), { recursive: true });
    await writeFile(join(host, 'passwd'), '');
  });
  afterEach(async () => {
    await mounting.undo();
    for (const path of [...stage.needed, ...stage.twins]) await rm(path, { force: true });
  });
  after(async () => {
    await other.stop();
    await world.stop();
  });

  function poolkeeper(...args: readonly string[]): Promise<Run> {
    const words = [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      ELSEWHERE,
      'sh',
      host,
      ...world.commandLine(args),
    ];
    const env = { PATH: process.env['PATH'], HOME: world.root, NO_COLOR: '1', POOLKEEPER_CONFIG: '/dev/null' };
    return new Promise((resolve) => {
      const child = execFile('unshare', words, { cwd: world.root, env }, (_error, stdout, stderr) =>
        resolve({ status: child.exitCode ?? -1, stdout, stderr }),
      );
    });
  }

  const sync = (): Promise<Run> =>
    poolkeeper(
      ...['sync', '--source', world.server.url, '--keyring', world.keyring, '--grace', '0', '--min-age', '0'],
      ...['arch=amd64', '--allow-mass-removal'],
    );

  async function expectFate(): Promise<void> {
    expect(await sync()).to.include({ status: 0, stderr: '' });
    expect(await fateOf(stage)).to.deep.equal({ lost: [], uncollected: [], collected: stage.twins });
  }

  /** Defines a domain with the other daemon, on an overlay of a volume, and tells where its definition lies. */
  async function defineElsewhere(name: string): Promise<string> {
    const top = await stage.overlay(join(stage.outside, `${name}.qcow2`), await stage.keep(name));
    await other.virsh('define', await stage.xml({ name, devices: fileDisk(top) }));
    return join(other.root, `config/libvirt/qemu/${name}.xml`);
  }

  it('keeps what the domain of a user needs whose session daemon it is, until it is undefined [D11]', async () => {
    const name = stage.domain();
    await defineElsewhere(name);
    await stage.twin();
    const home = join(stage.outside, 'alice');
    await mkdir(home);
    await symlink(join(other.root, 'config'), join(home, '.config'));
    await writeFile(join(host, 'passwd'), `root:x:0:0::/root:/bin/sh\nalice:x:65534:65534:Alice:${home}:/bin/sh\n`);
    await expectFate();
    const why = await poolkeeper('why', stage.needed[0] ?? '');
    expect(why.stdout).to.include(`domain ${name} of user alice's session`);

    await other.virsh('undefine', name);
    expect((await sync()).status).to.equal(0);
    expect((await fateOf(stage)).lost).to.deep.equal(stage.needed);
  });

  it('keeps what domains in folders of /home need that no account has, and those of lxc [D11]', async () => {
    const [session, container] = [stage.domain('h'), stage.domain('l')];
    const folder = join(host, 'home/bob/.config/libvirt/qemu');
    await mkdir(folder, { recursive: true });
    await copyFile(await defineElsewhere(session), join(folder, `${session}.xml`));
    const image = await stage.keep('container');
    const file = `<filesystem type='file'><driver type='loop' format='qcow2'/><source file='${image}'/><target dir='/'/></filesystem>`;
    const xml = `<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE.\n-->\n<domain type='lxc'><name>${container}</name><os><type>exe</type><init>/sbin/init</init></os><devices>${file}</devices></domain>`;
    await writeFile(join(host, `libvirt/lxc/${container}.xml`), xml);
    await stage.twin();
    await expectFate();
    await rm(join(folder, `${session}.xml`));
    await rm(join(host, `libvirt/lxc/${container}.xml`));
    await other.virsh('undefine', session);
    expect((await sync()).status).to.equal(0);
    expect((await fateOf(stage)).lost).to.deep.equal(stage.needed);
  });

  it('enters no home that may not answer, and lets doctor say so; nothing is held back [D11 twin]', async () => {
    await stage.twin();
    await mounting.dead(join(host, 'home/carol'));
    await writeFile(join(host, 'passwd'), 'carol:x:65501:65501::/home/carol:/bin/sh\n');
    await expectFate();
    const doctor = await poolkeeper('doctor', '-q');
    expect(doctor.stdout.replaceAll(/\s+/g, ' ')).to.include(
      "cannot see domains of user carol in '/home/carol/.config/libvirt/qemu': it lies on a file system of type fuse",
    );
    expect(doctor.stdout).to.not.match(/^problem +view/m);
  });

  it('reads no more than a user could, follows no link, and lets doctor name what makes no sense [D11 twin]', async () => {
    const twin = await stage.twin();
    const folder = join(host, 'home/dave/.config/libvirt/qemu');
    await mkdir(folder, { recursive: true });
    await writeFile(join(host, 'passwd'), 'dave:x:65501:65501::/home/dave:/bin/sh\n');
    const secret = await stage.file(
      'secret.xml',
      `<domain><name>x</name><devices>${fileDisk(twin)}</devices></domain>`,
    );
    await chmod(secret, 0o600);
    await symlink(secret, join(folder, 'link.xml'));
    await copyFile(secret, join(folder, 'closed.xml'));
    await writeFile(join(folder, 'broken.xml'), '<domain><name>');
    await writeFile(join(folder, 'note.txt'), 'nothing');
    await mkdir(join(folder, 'folder.xml'));
    await expectFate();
    const doctor = (await poolkeeper('doctor', '--json', '-q')).stdout;
    const seen = doctor.split('\n').flatMap((line) => /cannot see ([^:"]*)/.exec(line)?.[1] ?? []);
    expect(seen.sort()).to.deep.equal([
      `domain broken of user dave's session, inactive XML`,
      `domains of user dave in '/home/dave/.config/libvirt/qemu/closed.xml'`,
      `domains of user dave in '/home/dave/.config/libvirt/qemu/folder.xml'`,
      `domains of user dave in '/home/dave/.config/libvirt/qemu/link.xml'`,
    ]);
    expect(await readdir(folder)).to.have.length(5);
  });

  it('minds no user without domains [D11 twin]', async () => {
    await stage.twin();
    await mkdir(join(host, 'home/erin/.config'), { recursive: true });
    await writeFile(join(host, 'home/file'), '');
    await writeFile(join(host, 'passwd'), 'nonsense\nerin:x:65501:65501::/home/erin/:/bin/sh\n');
    await expectFate();
    expect((await poolkeeper('doctor', '--json', '-q')).stdout).to.not.include('cannot see');
  });
});
