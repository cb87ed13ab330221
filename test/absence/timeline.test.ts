import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readRecords } from '../../src/state/records.ts';
import { until } from '../support/aftermath.ts';
import { passDays } from '../support/days.ts';
import { HostTricks, type LoopDisk } from '../support/host-tricks.ts';
import { pathsOf } from '../support/persistent-image.ts';
import { createQcow2, qemuIo } from '../support/qemu.ts';
import { PRODUCTS, type Run, UNCOVERED, World } from '../support/world.ts';

const NIGHTS = 4;
const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';

/** A night's run with every default: no period is set to zero, and no guard is off. */
describe('night after night, with every default', () => {
  const tricks = new HostTricks();
  let world: World;
  let vms: string;
  let disk: LoopDisk;
  /** The serial of the image of jammy that is offered; the one before it is garbage. */
  let jammy = 20240401;

  before(async () => {
    world = await World.start();
    await world.createPool();
    vms = join(world.libvirtd.root, 'vms');
    disk = await tricks.disk('ext4', join(world.libvirtd.root, 'vms.img'), vms);
    await world.libvirtd.give(vms);
    await publish();
    await expectQuiet(await night());
    const top = join(vms, 'top.qcow2');
    await createQcow2(top, { sizeBytes: 2 ** 20, backing: world.volumePath('noble', '20240401') });
    await world.libvirtd.give(top);
    await world.define('web1', { path: top, format: 'qcow2' });
    await world.libvirtd.virsh(`pool-define-as vms dir --target ${vms}; pool-start vms`);
    // From now on noble's first image is needed by that overlay alone.
    for (let index = 0; index < 2; index++) {
      await passDays(world, 1);
      if (index === 0) await publish();
      await expectQuiet(await night());
    }
  });
  after(async () => {
    await tricks.undo();
    await world.stop();
  });

  function night(...words: readonly string[]): Promise<Run> {
    return world.poolkeeper('sync', '--source', world.server.url, '--keyring', world.keyring, 'arch=amd64', ...words);
  }

  /** Noble moves on once, so that its first image is replaced; jammy each time, so that there is garbage each time. */
  async function publish(): Promise<void> {
    jammy += 1;
    const noble = jammy === 20240402 ? '20240401' : '20240402';
    await world.publish([await world.release('noble', noble), await world.release('jammy', String(jammy))]);
  }

  async function expectQuiet({ status, stdout, stderr }: Run): Promise<void> {
    expect({ status, stderr }, stdout).to.deep.equal({ status: 0, stderr: '' });
  }

  const isThere = async (release: string, serial: number | string): Promise<boolean> =>
    (await readdir(world.poolPath)).includes(world.volumeName(release, String(serial)));

  /** Reads through the overlay to the image below it, which has that pattern from `World.image`. */
  async function readThrough(): Promise<string> {
    const shown = await qemuIo(join(vms, 'top.qcow2'), 'read -v 0 16');
    return shown.split('\n')[0] ?? '';
  }

  const HIDDEN: readonly {
    readonly title: string;
    hide(this: void): Promise<void>;
    show(this: void): Promise<void>;
  }[] = [
    {
      title: 'is not mounted, and its pool is stopped',
      hide: async () => {
        await world.libvirtd.virsh('pool-destroy vms');
        await disk.unmount();
      },
      show: async () => {
        await disk.mount();
        await world.libvirtd.virsh('pool-start vms');
      },
    },
    {
      title: 'is not mounted, and its pool is active and empty',
      hide: async () => {
        await disk.unmount();
        await world.libvirtd.virsh('pool-refresh vms');
      },
      show: async () => {
        await disk.mount();
        await world.libvirtd.virsh('pool-refresh vms');
      },
    },
    {
      title: 'is not mounted, and other files lie at the mount point',
      hide: async () => {
        await disk.unmount();
        await writeFile(join(vms, 'NOT-MOUNTED'), '');
        await writeFile(join(vms, 'backup.log'), 'nothing to do\n');
        await world.libvirtd.virsh('pool-refresh vms');
      },
      show: async () => {
        for (const name of ['NOT-MOUNTED', 'backup.log']) await rm(join(vms, name));
        await disk.mount();
        await world.libvirtd.virsh('pool-refresh vms');
      },
    },
  ];

  for (const { title, hide, show } of HIDDEN) {
    it(`keeps what a disk needs that ${title}, and the garbage goes when it is back [D4, D6, D9]`, async function () {
      this.timeout(240_000);
      const before = await readThrough();
      const garbage = jammy;
      await passDays(world, 1);
      await publish();
      await hide();
      const statuses: number[] = [];
      const losses: number[] = [];
      for (let index = 0; index < NIGHTS; index++) {
        statuses.push((await night()).status);
        if (!(await isThere('noble', '20240401'))) losses.push(index);
        await passDays(world, 1);
      }
      await show();
      expect(losses).to.deep.equal([]);
      // Noble's first image would go each night, as nothing that can be seen needs it.
      expect(statuses).to.deep.equal(Array.from({ length: NIGHTS }, () => 13));
      expect(await isThere('jammy', garbage)).to.equal(true);
      await expectQuiet(await night());
      expect([await isThere('jammy', garbage), await isThere('noble', '20240401')]).to.deep.equal([false, true]);
      expect(await readThrough()).to.equal(before);
    });
  }

  it("keeps a person's own image when a source publishes one of its name, and the rest goes on [A3, A4]", async () => {
    await createQcow2(join(world.root, 'golden.qcow2'), { sizeBytes: 2 ** 20 });
    const imported = await world.poolkeeper('import', join(world.root, 'golden.qcow2'), '--name', 'golden');
    expect(imported.status, imported.stderr).to.equal(0);
    const own = await ownVolumes();
    expect(own).to.have.lengthOf(1);
    const garbage = jammy;
    await passDays(world, 1);
    await publish();
    await publishUnder('local:golden');
    for (let index = 0; index < 3; index++) {
      const { status, stderr } = await night();
      expect(status, stderr).to.equal(12);
      expect(stderr).to.include('local:golden');
      expect(await ownVolumes()).to.deep.equal(own);
      await passDays(world, 1);
    }
    expect([await isThere('jammy', garbage), await isThere('jammy', jammy)]).to.deep.equal([false, true]);
    const listed = await world.poolkeeper('list');
    expect(listed.stdout).to.include('golden');
    await publish();
    await passDays(world, 1);
    await expectQuiet(await night());
  });

  it('does without an import that never arrived, and neither it nor the images beside it jam a run [E9 twin]', async () => {
    const garbage = jammy;
    await passDays(world, 1);
    await publish();
    const [command = '', ...words] = world.commandLine(['import', '-', '--name', 'never']);
    const env = { PATH: process.env['PATH'], HOME: world.root, POOLKEEPER_CONFIG: '/dev/null', ...UNCOVERED };
    const child = spawn(command, words, { env, stdio: ['pipe', 'ignore', 'ignore'] });
    const bytes = await readFile(await world.image('never', 4 * 2 ** 20));
    child.stdin.on('error', () => undefined);
    child.stdin.write(bytes.subarray(0, 2 * 2 ** 20));
    const { records } = await pathsOf(world);
    await until(async () =>
      [...(await readRecords(records)).records.values()].some(({ status }) => status === 'importing'),
    );
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    const needed = await ownVolumes();
    for (let index = 0; index < 3; index++) {
      const { status, stderr } = await night();
      expect(status, stderr).to.equal(0);
      await passDays(world, 1);
    }
    expect(await isThere('jammy', garbage)).to.equal(false);
    expect(await isThere('noble', '20240401')).to.equal(true);
    const arrived = (await ownVolumes()).filter((name) => !needed.includes(name));
    expect(arrived).to.deep.equal([]);
  });

  it('takes no image away when the pool is defined anew, and later the garbage of the new one goes [A1, A2]', async () => {
    const own = await ownVolumes();
    const held = await readdir(world.poolPath);
    await world.libvirtd.virsh('pool-destroy uvtool; pool-undefine uvtool');
    await world.libvirtd.virsh(`pool-define-as uvtool dir --target ${world.poolPath}; pool-start uvtool`);
    for (let index = 0; index < 3; index++) {
      await night();
      const left = await readdir(world.poolPath);
      expect(left).to.include.members([...own, world.volumeName('noble', '20240401')]);
      await passDays(world, 1);
    }
    const garbage = jammy;
    await publish();
    await night();
    await passDays(world, 1);
    const run = await night();
    expect(await isThere('jammy', garbage), `${run.stdout}${run.stderr}`).to.equal(false);
    expect(await readdir(world.poolPath)).to.include.members(
      held.filter((name) => own.includes(name) || name === world.volumeName('noble', '20240401')),
    );
  });

  /** The volumes of images that a person brought, by what their records or names say. */
  async function ownVolumes(): Promise<readonly string[]> {
    const names = await readdir(world.poolPath);
    const isOwn = (name: string): boolean => name.startsWith('x-uvt-b64-bG9jYWw6');
    return names.filter(isOwn).sort();
  }

  /** Lets the source publish noble a second time under another product name, in a newer version. */
  async function publishUnder(product: string): Promise<void> {
    await world.amend(PRODUCTS, ({ products = {} }) => {
      const copy = structuredClone(products[NOBLE] ?? expect.fail('noble is not published'));
      const versions = Object.values(copy.versions);
      copy.versions = { '29990101': versions[0] ?? expect.fail('no version') };
      products[product] = copy;
    });
    await world.amend('index.json', ({ index = {} }) => {
      for (const entry of Object.values(index)) (entry['products'] as string[]).push(product);
    });
  }
});
