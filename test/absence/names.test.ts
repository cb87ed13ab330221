import { expect } from 'chai';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { HostTricks } from '../support/host-tricks.ts';
import { recordStage } from '../support/managed-images.ts';
import { disk, fateOf, fileDisk, openStages, type Stage } from '../support/scenario.ts';
import { type Run, World } from '../support/world.ts';
import { guestHeader, HIDDEN } from './hidden.ts';

describe('a name that leads to nothing', () => {
  let world: World;
  const tricks = new HostTricks();
  let stages: Stage[];
  let stage: Stage;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    stages = [...(await openStages(world, HIDDEN.length + 12))];
  });
  beforeEach(() => {
    stage = stages.shift() ?? expect.fail('no stage');
  });
  after(async () => {
    await tricks.undo();
    await world.stop();
  });

  for (const row of HIDDEN) {
    const { title } = row;
    it(`keeps everything for ${title}; once it is seen, what nothing needs goes, and once nothing names it, its base [D6]`, async () => {
      const base = await stage.keep();
      const twin = await stage.twin();
      const hidden = await row.hide(stage, base, tricks);
      const { says } = hidden;
      const blind = await sync();
      expect(blind.stderr).to.include(says);
      expect(blind.status).to.equal(13);
      expect(await fateOf(stage)).to.deep.equal({ lost: [], uncollected: [twin], collected: [] });
      await hidden.show();
      expect(await sync()).to.include({ status: 0, stderr: '' });
      expect(await fateOf(stage)).to.deep.equal({ lost: [], uncollected: [], collected: [twin] });
      await hidden.destroy();
      await rm(stage.outside, { recursive: true, force: true }).catch(() => undefined);
      expect(await sync()).to.include({ status: 0, stderr: '' });
      if (!title.startsWith('an overlay that no domain names'))
        expect((await fateOf(stage)).lost).to.deep.equal([base]);
    });
  }

  it('reads a stopped pool directly whose directory holds an image, and what nothing in it needs goes [D6]', async () => {
    const folder = join(stage.outside, 'vms');
    await mkdir(folder);
    await stage.overlay(join(folder, 'top.qcow2'), await stage.keep());
    await stage.twin();
    await stage.virsh(`pool-define-as ${stage.key} dir --target ${folder}`);
    await expectSound();
    await stage.virsh(`pool-undefine ${stage.key}`);
  });

  it('asks nothing about what is opened as raw bytes, and keeps the volume of its name elsewhere [D5]', async () => {
    const base = await stage.keep();
    await stage.twin();
    const moved = join('/nowhere-at-all', basename(base));
    const raw = disk(`file='${moved}'`, { format: 'raw' });
    await stage.define({ devices: raw + disk("file='/nowhere-at-all/other.img'", { format: 'raw', target: 'vdb' }) });
    await expectSound();
    await stage.virsh(`undefine ${stage.domain()}`);
    await sync();
    expect((await fateOf(stage)).lost).to.deep.equal([base]);
  });

  it('asks nothing about serial ports, random numbers and input devices [D5]', async () => {
    await stage.twin();
    const devices = [
      "<serial type='file'><source path='/nowhere-at-all/serial.qcow2'/></serial>",
      "<rng model='virtio'><backend model='random'>/dev/nowhere-at-all</backend></rng>",
      "<input type='passthrough' bus='virtio'><source evdev='/dev/input/nowhere-at-all'/></input>",
    ];
    await stage.define({ devices: fileDisk(await stage.keep()) + devices.join('') });
    await expectSound();
    await stage.virsh(`undefine ${stage.domain()}`);
  });

  it('asks nothing about what a guest wrote into its raw disk, and opens none of it [D10]', async () => {
    await stage.twin();
    const top = await guestHeader(join(stage.outside, 'guest.img'), '/nowhere-at-all/secret', stage.outside);
    const inPool = await guestHeader(join(stage.pool, `${stage.key}.img`), '/nowhere-at-all/more', stage.outside);
    await stage.define({
      devices: disk(`file='${top}'`, { format: 'raw' }) + disk(`file='${inPool}'`, { format: 'raw', target: 'vdb' }),
    });
    stage.keepPath();
    await stage.image(stage.needed[0] ?? '');
    await stage.define({
      name: stage.domain('b'),
      devices: fileDisk(stage.needed[0] ?? ''),
    });
    await expectSound();
    // The same header is followed where anybody opens it as what it is.
    await stage.define({ name: stage.domain('c'), devices: fileDisk(top) });
    const blind = await sync();
    expect(blind.status).to.equal(0);
    expect(blind.stderr).to.include('image /nowhere-at-all/secret: nothing is there');
    const twin = await stage.twin('late');
    expect((await sync()).status).to.equal(13);
    await stage.virsh(...['', 'b', 'c'].map((suffix) => `undefine ${stage.domain(suffix)}`));
    await rm(inPool);
    await sync();
    expect((await fateOf(stage)).collected).to.include(twin);
  });

  it('keeps the volume that the header in a raw volume names, and not what the header of a raw file names [D10]', async () => {
    const base = await stage.keep();
    const other = await stage.twin('other');
    const inPool = await guestHeader(join(stage.pool, `${stage.key}.img`), base, stage.outside);
    const outside = await guestHeader(join(stage.outside, 'guest.img'), other, stage.outside);
    await stage.define({
      devices:
        disk(`file='${inPool}'`, { format: 'raw' }) + disk(`file='${outside}'`, { format: 'raw', target: 'vdb' }),
    });
    await expectSound();
    await stage.virsh(`undefine ${stage.domain()}`);
    await rm(inPool);
  });

  it('goes on beside firmware variables of a domain that never ran [D5]', async () => {
    await stage.twin();
    const os =
      "<loader readonly='yes' type='pflash'>/nowhere-at-all/code.fd</loader><nvram>/nowhere-at-all/vars.fd</nvram>";
    await stage.define({ os, devices: fileDisk(await stage.keep()) });
    await expectSound();
    await stage.virsh(`undefine --nvram ${stage.domain()}`);
  });

  it('exits with 13 only when a deletion was held back [D9]', async () => {
    await sync();
    await stage.define({ devices: fileDisk('/nowhere-at-all/top.qcow2') });
    expect((await sync()).status).to.equal(0);
    const twin = await stage.twin();
    expect((await sync()).status).to.equal(13);
    await stage.virsh(`undefine ${stage.domain()}`);
    expect(await sync()).to.include({ status: 0, stderr: '' });
    expect((await fateOf(stage)).collected).to.deep.equal([twin]);
  });

  it('sees what is in a pool that is too large for libvirt to list [D6]', async function () {
    this.timeout(180_000);
    const folder = join(stage.outside, 'many');
    await mkdir(folder);
    for (let index = 0; index <= 16_384; index += 1) await writeFile(join(folder, `f${index}`), '');
    await stage.overlay(join(folder, 'top.qcow2'), await stage.keep());
    await stage.twin();
    await stage.virsh(`pool-define-as ${stage.key} dir --target ${folder}`, `pool-start ${stage.key}`);
    await expectSound();
    await stage.virsh(`pool-destroy ${stage.key}`, `pool-undefine ${stage.key}`);
  });

  async function sync(): Promise<Run> {
    await recordStage(world, stage);
    return world.sync('arch=amd64', '--allow-mass-removal');
  }

  /** What is needed stays, and what is not goes without a word. */
  async function expectSound(): Promise<void> {
    expect(await sync()).to.include({ status: 0, stderr: '' });
    expect(await fateOf(stage)).to.deep.equal({ lost: [], uncollected: [], collected: stage.twins });
  }
});
