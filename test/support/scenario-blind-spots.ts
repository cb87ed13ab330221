import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { qemuImg } from './qemu.ts';
import { disk, fileDisk, type Stage } from './scenario.ts';

/** Something that hides an overlay, what is said of it, and how an administrator clears it. */
export interface HiddenImage {
  readonly title: string;
  readonly says: (stage: Stage) => string;
  readonly remedy: (stage: Stage) => string;
  hide(stage: Stage): Promise<void>;
  clear(stage: Stage): Promise<void>;
}

const inactivePool = (type: string, source: string): HiddenImage => ({
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

/** What keeps poolkeeper from seeing everything. */
export const BLIND_SPOTS: readonly HiddenImage[] = [
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
    says: ({ outside }) => `image ${outside}/mnt/top.qcow2: nothing is there`,
    remedy: ({ outside }) => `poolkeeper forget ${outside}/mnt/top.qcow2`,
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
    says: ({ outside }) => `image ${outside}/mnt/top.qcow2: nothing is there`,
    remedy: () => 'mount or attach what it lies on',
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
    says: ({ outside }) => `image ${outside}/mnt/base.qcow2: nothing is there`,
    remedy: ({ outside }) => `poolkeeper forget ${outside}/mnt/base.qcow2`,
    hide: async (stage) => {
      await stage.overlay(inPool(stage), join(stage.outside, 'mnt/base.qcow2'));
    },
    clear: (stage) => rm(inPool(stage)),
  },
  {
    title: 'a link into a folder that is missing',
    says: (stage) => `image ${stage.outside}/mnt/top.qcow2: link ${inPool(stage)} leads to nothing`,
    remedy: () => 'mount or attach what it lies on',
    hide: (stage) => symlink(join(stage.outside, 'mnt/top.qcow2'), inPool(stage)),
    clear: (stage) => rm(inPool(stage)),
  },
  {
    title: 'a volume of a pool that nobody knows any more',
    says: () => "volume 'top.qcow2' in pool 'gone': there is no such pool",
    remedy: () => "let pool 'gone' show it",
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

function saveImage(xml: string): Buffer {
  const header = Buffer.alloc(92);
  header.write('LibvirtQemudSave');
  header.writeUInt32LE(2, 16);
  header.writeUInt32LE(xml.length + 1, 20);
  return Buffer.concat([header, Buffer.from(`${xml}\0`)]);
}
