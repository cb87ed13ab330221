import { expect } from 'chai';
import { link, mkdir, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Mounting } from '../support/mounting.ts';
import { type DomainParts, fateOf, fileDisk, openStages, type Stage } from '../support/scenario.ts';
import { type Run, World } from '../support/world.ts';

/** A domain with a command line of its own for QEMU. */
function commandLine(...args: readonly string[]): DomainParts {
  const elements = args.map((value) => `<qemu:arg value='${value.replaceAll("'", '&apos;')}'/>`).join('');
  return { more: `<qemu:commandline>${elements}</qemu:commandline>` };
}

/** A domain that has a folder as a FAT disk. */
function fatDisk(path: string): DomainParts {
  const driver = "<driver name='qemu' type='fat'/>";
  const target = "<target dev='vda' bus='virtio'/><readonly/>";
  return { devices: `<disk type='dir' device='disk'>${driver}<source dir='${path}'/>${target}</disk>` };
}

/** A domain that shares a folder. */
function share(path: string): DomainParts {
  return { devices: `<filesystem type='mount'><source dir='${path}'/><target dir='t'/></filesystem>` };
}

describe('what documents of domains name in roundabout ways', () => {
  let world: World;
  let stages: Stage[];
  let stage: Stage;
  const mounting = new Mounting();

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.publishRelease('noble', '20240821');
    expect((await world.sync('arch=amd64')).status).to.equal(0);
    stages = [...(await openStages(world, 20))];
  });
  beforeEach(() => {
    stage = stages.shift() ?? expect.fail('no stage');
  });
  afterEach(async () => {
    await mounting.undo();
    await world.libvirtd.virsh('undefine', stage.domain()).catch(() => '');
    for (const path of [...stage.needed, ...stage.twins]) await rm(path, { force: true });
  });
  after(() => world.stop());

  const sync = (): Promise<Run> => world.sync('arch=amd64', '--allow-mass-removal');

  /** One run: what is needed stays, its twins go, and nobody complains. */
  async function expectKept(): Promise<void> {
    const run = await sync();
    expect(run).to.include({ status: 0, stderr: '' });
    expect(await fateOf(stage)).to.deep.equal({ lost: [], uncollected: [], collected: stage.twins });
  }

  /** Nothing goes while something cannot be seen; afterwards all goes that was needed through it only. */
  async function expectBlind(says: string, clear: () => Promise<unknown>): Promise<void> {
    const blind = await sync();
    expect(blind.stderr).to.include(says);
    expect(blind.status).to.equal(13);
    expect(await fateOf(stage)).to.deep.equal({ lost: [], uncollected: stage.twins, collected: [] });
    await clear();
    expect(await sync()).to.include({ status: 0, stderr: '' });
    expect((await fateOf(stage)).uncollected).to.deep.equal([]);
  }

  it('keeps what a configuration file of QEMU names, and what that stands on [D11]', async () => {
    const top = await stage.overlay(join(stage.outside, 'top.qcow2'), await stage.keep());
    const raw = await stage.keep('raw');
    const config = await stage.file(
      'guest.cfg',
      `[drive "a"]\n  file = "${top}"\n  format = "qcow2"\n[drive]\n  file = "${raw}"\n  format = "raw"\n`,
    );
    await stage.twin();
    await stage.define(commandLine('-readconfig', config));
    await expectKept();
    await rm(config);
    await expectBlindNow(`QEMU's configuration file ${config}`);
    await writeFile(config, '[drive "a"]\n  file = "/nowhere/x"\n  format = "raw"\n');
    expect((await sync()).status).to.equal(0);
    expect((await fateOf(stage)).lost).to.deep.equal(stage.needed);
  });

  async function expectBlindNow(says: string): Promise<void> {
    const run = await sync();
    expect(run.stderr).to.include(says);
    expect(run.status).to.equal(13);
    expect((await fateOf(stage)).lost).to.deep.equal([]);
  }

  it('does not know what an image stands on that begins inside a file; a raw one stands on nothing [D11]', async () => {
    const disk = await stage.image(join(stage.outside, 'disk.img'));
    const drive = (format: string) =>
      commandLine('-drive', `if=none,id=d,format=${format},file.driver=raw,file.offset=512,file.file.filename=${disk}`);
    await stage.twin();
    await stage.define(drive('qcow2'));
    await expectBlind(`image inside ${disk}`, () => stage.define(drive('raw')));
  });

  it('keeps what links in a FAT folder lead to, in folders behind links as well [D11]', async () => {
    const [byLink, hard, deep, inFolder] = [
      await stage.keep('a'),
      await stage.keep('b'),
      await stage.keep('c'),
      await stage.keep('d'),
    ];
    const fat = join(stage.outside, 'fat');
    const other = join(stage.outside, 'other');
    await mkdir(join(fat, 'sub'), { recursive: true });
    await mkdir(other);
    await symlink(byLink, join(fat, 'sub/link'));
    await link(hard, join(fat, 'hard'));
    await symlink(other, join(fat, 'other'));
    await symlink(deep, join(other, 'deep'));
    await symlink(join(other, 'nothing'), join(fat, 'dangling'));
    await symlink(fat, join(fat, 'sub/round'));
    await mkdir(join(fat, 'images'));
    await mounting.bindFile(inFolder, join(fat, 'images/bound'));
    await stage.twin('a');
    await stage.define(fatDisk(fat));
    await expectKept();
    await unlink(join(fat, 'sub/link'));
    await unlink(join(other, 'deep'));
    expect((await sync()).status).to.equal(0);
    expect((await fateOf(stage)).lost).to.deep.equal([byLink, deep]);
  });

  it('keeps all of a pool while a FAT folder has a link to it [D11]', async () => {
    await stage.keep();
    const fat = join(stage.outside, 'fat');
    await mkdir(fat);
    await symlink(world.poolPath, join(fat, 'pool'));
    await stage.define(fatDisk(fat));
    await expectKept();
    await unlink(join(fat, 'pool'));
    expect((await sync()).status).to.equal(0);
    expect((await fateOf(stage)).lost).to.deep.equal(stage.needed);
  });

  it('keeps what an overlay finds through a FAT folder [D11]', async () => {
    const fat = join(stage.outside, 'fat');
    await mkdir(fat);
    await symlink(await stage.keep(), join(fat, 'link'));
    await stage.twin();
    const top = await stage.overlay(join(stage.outside, 'top.qcow2'), `fat:${fat}`, 'raw');
    await stage.define({
      devices: `<disk type='file'><driver type='qcow2'/><source file='${top}'/><target dev='vda'/></disk>`,
    });
    await expectKept();
  });

  it('does not wait for what a link in a FAT folder leads to, and keeps what is called so [D11]', async () => {
    const fat = join(stage.outside, 'fat');
    await mkdir(fat);
    await mounting.dead(join(stage.outside, 'dead'));
    await symlink(join(stage.outside, 'dead/x'), join(fat, 'link'));
    await stage.twin();
    await stage.define(fatDisk(fat));
    await expectKept();
  });

  it('keeps what is mounted below a share, and a pool that is a part of one, without a look at any mount [D11]', async () => {
    const shared = join(stage.outside, 'shared');
    await stage.keep();
    await stage.define(share(shared));
    await mounting.bind(world.poolPath, join(shared, 'images'));
    await mounting.dead(join(shared, 'dead'));
    await expectKept();
    await mounting.undo();
    expect((await sync()).status).to.equal(0);
    expect((await fateOf(stage)).lost).to.deep.equal(stage.needed);
  });

  it('keeps the one image that is mounted below a share [D11]', async () => {
    const shared = join(stage.outside, 'shared');
    await mounting.bindFile(await stage.keep(), join(shared, 'disk.img'));
    await stage.twin();
    await stage.define(share(shared));
    await expectKept();
  });

  it('follows no link in a share: virtiofs and 9p do not either [D11 twin]', async () => {
    const shared = join(stage.outside, 'shared');
    await mkdir(shared);
    const twin = await stage.twin();
    await symlink(twin, join(shared, 'link'));
    await symlink(world.poolPath, join(shared, 'pool'));
    await stage.define(share(shared));
    await expectKept();
  });

  it('follows a relative backing name from every folder by which the overlay is opened [D11]', async () => {
    const base = await stage.keep();
    const folder = join(stage.outside, 'real');
    await mkdir(folder);
    // The same name from the folder itself: there it means something else.
    await mkdir(join(stage.outside, basename(world.poolPath)));
    await stage.image(join(stage.outside, basename(world.poolPath), basename(base)));
    const top = await stage.overlay(join(folder, 'top.qcow2'), `../${basename(world.poolPath)}/${basename(base)}`);
    await stage.twin();
    const bound = `${world.poolPath}-bound`;
    await mounting.bind(folder, bound);
    await stage.virsh(`pool-define-as ${stage.key} dir --target ${folder}`, `pool-start ${stage.key}`);
    try {
      await stage.define({ devices: fileDisk(join(bound, 'top.qcow2')) });
      await expectKept();
      await stage.define({ devices: fileDisk(top) });
      await mounting.undo();
      expect((await sync()).status).to.equal(0);
      expect((await fateOf(stage)).lost).to.deep.equal([base]);
    } finally {
      await stage.virsh(`pool-destroy ${stage.key}`, `pool-undefine ${stage.key}`);
    }
  });

  it('keeps what an overlay needs in a folder that a link in the pool leads to, at any depth [D11]', async () => {
    const folder = join(stage.outside, 'elsewhere/deep');
    await mkdir(folder, { recursive: true });
    await stage.overlay(join(folder, 'top.qcow2'), await stage.keep());
    const twin = await stage.twin();
    // It says nothing of what it stands on, whatever is written in it.
    await writeFile(join(folder, 'note.txt'), twin);
    const linked = join(world.poolPath, `${stage.key}.d`);
    await symlink(join(stage.outside, 'elsewhere'), linked);
    try {
      await expectKept();
    } finally {
      await unlink(linked);
    }
    expect((await sync()).status).to.equal(0);
    expect((await fateOf(stage)).lost).to.deep.equal(stage.needed);
  });

  it('deletes nothing of a pool that an overlay mount shows, and goes on once it is unmounted [C4]', async () => {
    await stage.twin();
    const at = join(stage.outside, 'merged');
    const other = join(stage.outside, 'lower');
    await mkdir(other);
    await mounting.overlay(at, `lowerdir=${other}:${world.poolPath}`);
    await expectBlind(`overlay mount ${at}`, () => mounting.unmount(at));
  });

  it('minds no overlay mount beside the pool [C4 twin]', async () => {
    const twin = await stage.twin();
    const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => join(stage.outside, name));
    for (const path of [lower, upper, work]) await mkdir(path ?? '');
    await mounting.overlay(join(stage.outside, 'merged'), `lowerdir=${lower},upperdir=${upper},workdir=${work}`);
    await expectKept();
    expect(await world.volumes()).to.not.include(basename(twin));
  });
});
