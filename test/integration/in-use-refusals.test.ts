import { expect } from 'chai';
import { lstat, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { qemuImg } from '../support/qemu.ts';
import { disk, fateOf, fileDisk, openStages, type Stage } from '../support/scenario.ts';
import { type Run, runProgram, World } from '../support/world.ts';

/** Something that hides an overlay, what is said of it, and how an administrator clears it. */
interface BlindSpot {
  readonly title: string;
  readonly says: (stage: Stage) => string;
  readonly remedy: (stage: Stage) => string;
  hide(stage: Stage): Promise<void>;
  clear(stage: Stage): Promise<void>;
}

const inactivePool = (type: string, source: string): BlindSpot => ({
  title: `an inactive ${type} pool`,
  says: ({ key }) => `storage pool '${key}': it is not active`,
  remedy: ({ key }) => `virsh pool-start ${key}`,
  hide: async (stage) => {
    const target = `<target><path>${stage.outside}</path></target>`;
    const xml = `<pool type='${type}'><name>${stage.key}</name><source>${source}</source>${target}</pool>`;
    await stage.virsh(`pool-define ${await stage.file('pool.xml', xml)}`);
  },
  clear: async (stage) => {
    await stage.virsh(`pool-undefine ${stage.key}`);
  },
});

const inPool = ({ pool, key }: Stage): string => join(pool, `${key}.img`);

const BLIND_SPOTS: readonly BlindSpot[] = [
  inactivePool('netfs', "<host name='192.0.2.1'/><dir path='/export'/><format type='nfs'/>"),
  inactivePool('fs', "<device path='/dev/disk/by-label/nowhere'/>"),
  inactivePool('logical', '<name>vg0</name>'),
  {
    title: 'an inactive dir pool whose directory is missing',
    says: ({ key }) => `storage pool '${key}': it is not active`,
    remedy: ({ key }) => `virsh pool-undefine ${key}`,
    hide: async (stage) => {
      await stage.virsh(`pool-define-as ${stage.key} dir --target ${stage.outside}/missing`);
    },
    clear: async (stage) => {
      await stage.virsh(`pool-undefine ${stage.key}`);
    },
  },
  {
    title: 'a disk whose folder is missing',
    says: ({ outside }) => `image ${outside}/mnt/top.qcow2: its folder is missing or empty`,
    remedy: ({ outside }) => `mount the file system that holds ${outside}/mnt/top.qcow2`,
    hide: async (stage) => {
      await stage.define({ devices: fileDisk(join(stage.outside, 'mnt/top.qcow2')) });
    },
    clear: async (stage) => {
      await mkdir(join(stage.outside, 'mnt'));
      await stage.image(join(stage.outside, 'mnt/top.qcow2'));
    },
  },
  {
    title: 'a disk whose folder is empty, like a place where nothing is mounted',
    says: ({ outside }) => `image ${outside}/mnt/top.qcow2: its folder is missing or empty`,
    remedy: () => 'or remove the reference to it',
    hide: async (stage) => {
      await mkdir(join(stage.outside, 'mnt'));
      await stage.define({ devices: fileDisk(join(stage.outside, 'mnt/top.qcow2')) });
    },
    clear: async (stage) => {
      await stage.virsh(`undefine ${stage.domain()}`);
    },
  },
  {
    title: 'a base that an overlay names in a folder that is missing',
    says: ({ outside }) => `image ${outside}/mnt/base.qcow2: its folder is missing or empty`,
    remedy: ({ outside }) => `mount the file system that holds ${outside}/mnt/base.qcow2`,
    hide: async (stage) => {
      await stage.overlay(inPool(stage), join(stage.outside, 'mnt/base.qcow2'));
    },
    clear: (stage) => rm(inPool(stage)),
  },
  {
    title: 'a link into a folder that is missing',
    says: (stage) => `link ${inPool(stage)}: it leads to ${stage.outside}/mnt/top.qcow2`,
    remedy: () => 'or remove the link',
    hide: (stage) => symlink(join(stage.outside, 'mnt/top.qcow2'), inPool(stage)),
    clear: (stage) => rm(inPool(stage)),
  },
  {
    title: 'a volume of a pool that nobody knows any more',
    says: () => "volume 'top.qcow2' in pool 'gone': there is no such pool",
    remedy: () => "define the pool 'gone' again",
    hide: async (stage) => {
      await stage.define({ devices: disk("pool='gone' volume='top.qcow2'", { type: 'volume' }) });
    },
    clear: async (stage) => {
      await stage.virsh(`undefine ${stage.domain()}`);
    },
  },
  {
    title: 'an image with a broken header',
    says: ({ key }) => `volume uvtool/${key}.img: qcow2 header is malformed`,
    remedy: () => 'repair or remove the image',
    hide: (stage) =>
      writeFile(inPool(stage), Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x02', 'latin1'), Buffer.alloc(600)])),
    clear: (stage) => rm(inPool(stage)),
  },
  {
    title: 'an image that only qemu-img can read, without qemu-img',
    says: ({ key }) => `volume uvtool/${key}.img: cannot inspect`,
    remedy: () => "install it, e.g. 'apt-get install qemu-utils'",
    hide: async (stage) => {
      await qemuImg('create', '-q', '-f', 'vhdx', inPool(stage), '1M');
    },
    clear: () => Promise.resolve(),
  },
  {
    title: 'a save image with broken XML',
    says: ({ key }) => `volume uvtool/${key}.img, saved-domain header: cannot read the XML document`,
    remedy: () => 'look at the document with virsh',
    hide: async (stage) => writeFile(inPool(stage), saveImage("<domain><name>x</name><devices><disk type='file'>")),
    clear: (stage) => rm(inPool(stage)),
  },
  {
    title: 'a saved state that libvirt cannot read',
    says: (stage) => `domain '${stage.domain()}': managed save XML: cannot read`,
    remedy: (stage) => `virsh managedsave-dumpxml ${stage.domain()}`,
    hide: async (stage) => {
      await stage.start({ devices: fileDisk(await stage.image(join(stage.outside, 'disk'))) });
      await stage.virsh(`managedsave ${stage.domain()}`);
      const saved = join(stage.world.libvirtd.root, 'config/libvirt/qemu/save', `${stage.domain()}.save`);
      await writeFile(saved, 'not a saved state');
    },
    clear: async (stage) => {
      await stage.virsh(`managedsave-remove ${stage.domain()}`);
    },
  },
];

describe('sync that cannot see everything', () => {
  let world: World;
  let stages: readonly Stage[];
  let blind: Run;
  let mending: Run;
  let seeing: Run;
  let collectedWhileBlind: readonly string[];
  let collectedWhileMending: readonly string[];
  let broken: Stage;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    stages = await openStages(world, BLIND_SPOTS.length + 1);
    for (const [index, spot] of BLIND_SPOTS.entries()) await act(index, (stage) => spot.hide(stage));
    for (const stage of stages) await stage.twin();
    broken = stages[BLIND_SPOTS.length] ?? expect.fail('no stage');
    await writeFile(broken.twinPath('broken'), Buffer.from('QFI\xfb\0\0\0\x02', 'latin1'));
    blind = await syncWithoutTools();
    collectedWhileBlind = await collected();
    for (const [index, spot] of BLIND_SPOTS.entries()) await act(index, (stage) => spot.clear(stage));
    mending = await world.sync('arch=amd64', '--allow-mass-removal');
    collectedWhileMending = await collected();
    seeing = await world.sync('arch=amd64', '--allow-mass-removal');
  });
  after(() => world.stop());

  it('deletes nothing and exits with the status for an incomplete view', () => {
    expect(blind.status).to.equal(13);
    expect(collectedWhileBlind).to.deep.equal([]);
  });

  it('deletes garbage that is the only thing that cannot be understood, and says what had to wait for that', () => {
    expect(collectedWhileMending).to.deep.equal([broken.twins[1]]);
    expect(mending.status).to.equal(13);
    expect(mending.stderr).to.include(`${stages.length} unused volume(s) were not deleted`);
  });

  for (const [index, { title, says, remedy }] of BLIND_SPOTS.entries()) {
    it(`names ${title}, and what would clear it`, () => {
      const stage = stages[index] ?? expect.fail('no stage');
      const line = blind.stderr.split('\n').find((text) => text.includes(says(stage)));
      expect(line, blind.stderr).to.include(remedy(stage));
    });
  }

  it('collects everything as soon as nothing is hidden any more', async () => {
    expect({ status: seeing.status, stderr: seeing.stderr }).to.deep.equal({ status: 0, stderr: '' });
    for (const stage of stages) expect((await fateOf(stage)).uncollected).to.deep.equal([]);
  });

  async function act(index: number, action: (stage: Stage) => Promise<void>): Promise<void> {
    await action(stages[index] ?? expect.fail('no stage'));
  }

  async function collected(): Promise<readonly string[]> {
    return (await Promise.all(stages.map((stage) => fateOf(stage)))).flatMap((fate) => fate.collected);
  }

  async function syncWithoutTools(): Promise<Run> {
    const source = ['--source', world.server.url, '--keyring', world.keyring, '--grace', '0', '--min-age', '0'];
    return runProgram(['sync', 'arch=amd64', ...source, '--allow-mass-removal', ...world.options], world.root, {
      PATH: '/nowhere',
    });
  }
});

describe('sync beside images that are gone for good', () => {
  let world: World;
  let run: Run;
  let stage: Stage;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    [stage = expect.fail('no stage')] = await openStages(world, 1);
    await stage.twin();
    const iso = join(stage.outside, 'gone/install.iso');
    const media = (device: string, target: string, bus: string): string =>
      `<disk type='file' device='${device}'><source file='${iso}' startupPolicy='optional'/><target dev='${target}' bus='${bus}'/></disk>`;
    const raw = disk(`file='${join(stage.outside, 'gone/data.img')}'`, { format: 'raw' });
    const volume = disk("pool='gone' volume='data.img'", { type: 'volume', format: 'raw', target: 'vdb' });
    await writeFile(join(stage.outside, 'other'), '');
    const deleted = disk(`file='${join(stage.outside, 'deleted.qcow2')}'`, { target: 'vdc' });
    await stage.define({
      os: `<kernel>${stage.outside}/gone/vmlinuz</kernel>`,
      devices: media('cdrom', 'hdc', 'ide') + media('floppy', 'fda', 'fdc') + raw + volume + deleted,
    });
    await stage.virsh(`pool-define-as empty dir --target ${await world.libvirtd.poolDir('empty')}`);
    run = await world.sync('arch=amd64', '--allow-mass-removal');
  });
  after(() => world.stop());

  it('goes on, since nothing can stand behind what is raw or was deleted', async () => {
    expect({ status: run.status, stderr: run.stderr }).to.deep.equal({ status: 0, stderr: '' });
    expect((await fateOf(stage)).uncollected).to.deep.equal([]);
  });
});

describe('sync into a pool that libvirt cannot refresh', () => {
  let world: World;
  let run: Run;
  let stage: Stage;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    await world.sync('arch=amd64');
    [stage = expect.fail('no stage')] = await openStages(world, 1);
    await stage.keep();
    await stage.virsh('pool-refresh uvtool');
    await rename(world.poolPath, `${world.poolPath}-away`);
    run = await world.sync('arch=amd64', '--allow-mass-removal');
  });
  after(() => world.stop());

  it('says that libvirt stopped the pool, and how to go on', async () => {
    expect(run.status).to.equal(10);
    expect(run.stderr).to.match(/error: cannot refresh pool 'uvtool', and libvirt has stopped it: .*No such file/);
    expect(run.stderr).to.match(/hint: .*virsh pool-start uvtool/);
    expect(await stage.virsh('pool-list --inactive --name')).to.include('uvtool');
  });

  it('loses neither volumes nor metadata', async () => {
    await rename(`${world.poolPath}-away`, world.poolPath);
    await stage.virsh('pool-start uvtool');
    expect(await world.volumes()).to.deep.equal(
      [...stage.needed.map((path) => basename(path)), world.volumeName('noble', '20240821')].sort(),
    );
    expect((await world.poolkeeper('query')).stdout).to.include('noble');
    await lstat(join(world.metadata, world.volumeName('noble', '20240821')));
  });
});

function saveImage(xml: string): Buffer {
  const header = Buffer.alloc(92);
  header.write('LibvirtQemudSave');
  header.writeUInt32LE(2, 16);
  header.writeUInt32LE(xml.length + 1, 20);
  return Buffer.concat([header, Buffer.from(`${xml}\0`)]);
}
