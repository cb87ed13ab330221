import { appendFile, copyFile, link, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostTricks } from '../support/host-tricks.ts';
import { qemuImg } from '../support/qemu.ts';
import { disk, fileDisk, IMAGE_BYTES, type Stage } from '../support/scenario.ts';

/** A way in which an image that stands on a volume leads to nothing, and how it is to be seen again. */
export interface Hidden {
  readonly title: string;
  /** Makes an image on `base` that something names, and hides it. */
  hide(stage: Stage, base: string, tricks: HostTricks): Promise<Shown>;
}

/** What can be done about it. */
export interface Shown {
  /** What is said of it. */
  readonly says: string;
  /** Lets it be seen again. */
  show(): Promise<unknown>;
  /** Ends the need: nothing names it any more. */
  destroy(): Promise<unknown>;
}

const undefine = (stage: Stage) => (): Promise<unknown> => stage.virsh(`undefine ${stage.domain()}`);

/** A pool of the scenario's own with one overlay, and a domain that knows it by pool and volume. */
async function ownPool(stage: Stage, base: string, folder = join(stage.outside, 'vms')): Promise<string> {
  await mkdir(folder, { recursive: true });
  await stage.overlay(join(folder, 'top.qcow2'), base);
  await stage.virsh(`pool-define-as ${stage.key} dir --target ${folder}`, `pool-start ${stage.key}`);
  return folder;
}

const byVolume = (stage: Stage): Promise<void> =>
  stage.define({ devices: disk(`pool='${stage.key}' volume='top.qcow2'`, { type: 'volume' }) });

const dropPool = (stage: Stage) => async (): Promise<unknown> => {
  await stage.virsh(`undefine ${stage.domain()}`);
  return stage.virsh(`pool-destroy ${stage.key}`, `pool-undefine ${stage.key}`);
};

/** An overlay on a file system of its own; the folder is where it is mounted. */
async function onDisk(stage: Stage, base: string, tricks: HostTricks) {
  const folder = join(stage.outside, 'mnt');
  const volume = await tricks.disk('ext4', join(stage.outside, 'disk.ext4'), folder);
  await stage.overlay(join(folder, 'top.qcow2'), base);
  return { folder, top: join(folder, 'top.qcow2'), volume };
}

const missing = (path: string): string => `image ${path}: nothing is there`;

/** Every row that needs no memory, for each kind of source where it applies. */
export const HIDDEN: readonly Hidden[] = [
  {
    title: 'a volume that its active pool does not list',
    hide: async (stage, base) => {
      const folder = await ownPool(stage, base);
      await byVolume(stage);
      await rename(join(folder, 'top.qcow2'), join(stage.outside, 'top.away'));
      await stage.virsh(`pool-refresh ${stage.key}`);
      return {
        says: `volume 'top.qcow2' in pool '${stage.key}': its pool does not show it`,
        show: async () => rename(join(stage.outside, 'top.away'), join(folder, 'top.qcow2')),
        destroy: dropPool(stage),
      };
    },
  },
  {
    title: 'a volume of a pool that is active on an empty mount point',
    hide: async (stage, base, tricks) => {
      const { folder, volume } = await onDisk(stage, base, tricks);
      await stage.virsh(`pool-define-as ${stage.key} dir --target ${folder}`, `pool-start ${stage.key}`);
      await byVolume(stage);
      await volume.unmount();
      await stage.virsh(`pool-refresh ${stage.key}`);
      return {
        says: `volume 'top.qcow2' in pool '${stage.key}': its pool does not show it`,
        show: () => volume.mount(),
        destroy: dropPool(stage),
      };
    },
  },
  {
    title: 'a file of a pool that is active on an empty mount point',
    hide: async (stage, base, tricks) => {
      const { folder, top, volume } = await onDisk(stage, base, tricks);
      await stage.virsh(`pool-define-as ${stage.key} dir --target ${folder}`, `pool-start ${stage.key}`);
      await stage.define({ devices: fileDisk(top) });
      await volume.unmount();
      await stage.virsh(`pool-refresh ${stage.key}`);
      return { says: missing(top), show: () => volume.mount(), destroy: dropPool(stage) };
    },
  },
  {
    title: 'an overlay that no domain names, in a pool whose list libvirt made before the unmount',
    hide: async (stage, base, tricks) => {
      const { folder, volume } = await onDisk(stage, base, tricks);
      await stage.virsh(`pool-define-as ${stage.key} dir --target ${folder}`, `pool-start ${stage.key}`);
      await volume.unmount('lazy');
      await writeFile(join(folder, 'stray.log'), 'x');
      return {
        says: `storage pool '${stage.key}': libvirt lists 1 volume(s) that are not there, such as 'top.qcow2'`,
        show: () => volume.mount(),
        destroy: () => stage.virsh(`pool-refresh ${stage.key}`),
      };
    },
  },
  {
    title: 'a volume of a pool that was defined anew on another directory',
    hide: async (stage, base) => {
      const folder = await ownPool(stage, base);
      await byVolume(stage);
      const other = join(stage.outside, 'other');
      await mkdir(other);
      await stage.image(join(other, 'another.qcow2'));
      const define = (target: string): Promise<unknown> =>
        stage.virsh(
          `pool-destroy ${stage.key}`,
          `pool-undefine ${stage.key}`,
          `pool-define-as ${stage.key} dir --target ${target}`,
          `pool-start ${stage.key}`,
        );
      await define(other);
      return {
        says: `volume 'top.qcow2' in pool '${stage.key}': its pool does not show it`,
        show: () => define(folder),
        destroy: dropPool(stage),
      };
    },
  },
  {
    title: 'a stopped pool whose file system is not mounted',
    hide: async (stage, base, tricks) => {
      const { folder, volume } = await onDisk(stage, base, tricks);
      await stage.virsh(`pool-define-as ${stage.key} dir --target ${folder}`);
      await volume.unmount();
      // What lies in the place of a disk is no image.
      for (const name of ['.not-mounted', 'stray.log']) await writeFile(join(folder, name), 'nothing is mounted here');
      return {
        says: `storage pool '${stage.key}': it is not active, and its directory holds no image`,
        show: () => volume.mount(),
        destroy: () => stage.virsh(`pool-undefine ${stage.key}`),
      };
    },
  },
  {
    title: 'a file below a mount point with a marker, a stray log and other disks',
    hide: async (stage, base, tricks) => {
      const { folder, top, volume } = await onDisk(stage, base, tricks);
      await stage.define({ devices: fileDisk(top) });
      await volume.unmount();
      await writeFile(join(folder, '.not-mounted'), '');
      await writeFile(join(folder, 'stray.log'), 'x');
      await stage.image(join(folder, 'other.qcow2'));
      return { says: missing(top), show: () => volume.mount(), destroy: undefine(stage) };
    },
  },
  {
    title: 'a file over which another file system was mounted',
    hide: async (stage, base, tricks) => {
      const folder = join(stage.outside, 'vms');
      await mkdir(folder);
      await stage.overlay(join(folder, 'top.qcow2'), base);
      await stage.define({ devices: fileDisk(join(folder, 'top.qcow2')) });
      const over = await tricks.tmpfs(folder);
      await stage.image(join(folder, 'other.qcow2'));
      return { says: missing(join(folder, 'top.qcow2')), show: () => over.undo(), destroy: undefine(stage) };
    },
  },
  {
    title: 'a link that is the disk of a domain',
    hide: async (stage, base, tricks) => {
      const { folder, top, volume } = await onDisk(stage, base, tricks);
      await symlink(top, join(stage.outside, 'link.qcow2'));
      await stage.define({ devices: fileDisk(join(stage.outside, 'link.qcow2')) });
      await volume.unmount();
      await writeFile(join(folder, 'stray.log'), 'x');
      return { says: missing(top), show: () => volume.mount(), destroy: undefine(stage) };
    },
  },
  {
    title: 'a link in the middle of a chain',
    hide: async (stage, base, tricks) => {
      const { top, volume } = await onDisk(stage, base, tricks);
      await symlink(top, join(stage.outside, 'middle.qcow2'));
      await stage.overlay(join(stage.outside, 'end.qcow2'), 'middle.qcow2');
      await stage.define({ devices: fileDisk(join(stage.outside, 'end.qcow2')) });
      await volume.unmount();
      return { says: missing(top), show: () => volume.mount(), destroy: undefine(stage) };
    },
  },
  {
    title: 'a link in the pool',
    hide: async (stage, base, tricks) => {
      const { folder, top, volume } = await onDisk(stage, base, tricks);
      const own = join(stage.pool, `${stage.key}.qcow2`);
      await symlink(top, own);
      await volume.unmount();
      await writeFile(join(folder, 'stray.log'), 'x');
      return { says: `image ${top}: link ${own} leads to nothing`, show: () => volume.mount(), destroy: () => rm(own) };
    },
  },
  {
    title: 'a logical volume that is not active, by the link that LVM makes',
    hide: async (stage, base, tricks) => {
      const file = join(stage.outside, 'lv');
      await stage.overlay(file, base);
      const device = await tricks.loop(file);
      await mkdir(join(stage.outside, 'vg'));
      const name = join(stage.outside, 'vg/lv');
      await symlink(device.device, name);
      await stage.define({ devices: disk(`dev='${name}'`, { type: 'block' }) });
      await device.undo();
      await rm(name);
      return {
        says: missing(name),
        show: async () => symlink((await tricks.loop(file)).device, name),
        destroy: undefine(stage),
      };
    },
  },
  {
    title: 'a loop device that is not attached',
    hide: async (stage, base, tricks) => {
      const file = join(stage.outside, 'lv');
      await stage.overlay(file, base);
      const { device, undo } = await tricks.loop(file);
      await stage.define({ devices: disk(`dev='${device}'`, { type: 'block' }) });
      await undo();
      return {
        says: `image ${device}: what is there is empty, and not qcow2`,
        show: () => tricks.loop(file),
        destroy: undefine(stage),
      };
    },
  },
  {
    title: 'a disk that was unplugged',
    hide: async (stage, base) => {
      await stage.overlay(join(stage.outside, 'unplugged'), base);
      await stage.define({ devices: disk(`dev='/dev/sdq'`, { type: 'block' }) });
      return {
        says: missing('/dev/sdq'),
        show: () => stage.define({ devices: disk(`dev='${stage.outside}/unplugged'`, { type: 'block' }) }),
        destroy: undefine(stage),
      };
    },
  },
  {
    title: 'an image in whose place there is an empty file',
    hide: async (stage, base) => {
      const top = await stage.overlay(join(stage.outside, 'top.qcow2'), base);
      await stage.define({ devices: fileDisk(top) });
      await rename(top, `${top}.away`);
      await writeFile(top, '');
      return {
        says: `image ${top}: what is there is empty, and not qcow2`,
        show: () => rename(`${top}.away`, top),
        destroy: undefine(stage),
      };
    },
  },
  {
    title: 'an image in whose place there is something without a magic',
    hide: async (stage, base) => {
      const folder = await ownPool(stage, base);
      await byVolume(stage);
      await rename(join(folder, 'top.qcow2'), join(stage.outside, 'top.away'));
      await writeFile(join(folder, 'top.qcow2'), Buffer.alloc(65_536, 7));
      await stage.virsh(`pool-refresh ${stage.key}`);
      return {
        says: `volume 'top.qcow2' in pool '${stage.key}': what is there is raw, and not qcow2`,
        show: () => rename(join(stage.outside, 'top.away'), join(folder, 'top.qcow2')),
        destroy: dropPool(stage),
      };
    },
  },
  {
    title: 'an image in whose place there is a folder',
    hide: async (stage, base) => {
      const top = await stage.overlay(join(stage.outside, 'top.qcow2'), base);
      await stage.define({ devices: fileDisk(top) });
      await rename(top, `${top}.away`);
      await mkdir(top);
      return {
        says: `image ${top}: what is there is no image, as it is said to be`,
        show: async () => {
          await rm(top, { recursive: true });
          await rename(`${top}.away`, top);
        },
        destroy: undefine(stage),
      };
    },
  },
  {
    title: 'a network disk in a format with a chain',
    hide: async (stage, base) => {
      const top = await stage.overlay(join(stage.outside, 'top.qcow2'), base);
      const source = `protocol='nbd' name='exported'><host name='127.0.0.1' port='1'/></source`;
      await stage.define({
        devices: `<disk type='network' device='disk'><driver name='qemu' type='qcow2'/><source ${source}><target dev='vda' bus='virtio'/></disk>`,
      });
      return {
        says: `image 'exported' over nbd: no pool of this host shows it`,
        show: () => stage.define({ devices: fileDisk(top) }),
        destroy: undefine(stage),
      };
    },
  },
  {
    title: 'an overlay that was renamed beside its former name',
    hide: async (stage, base) => {
      const top = await stage.overlay(join(stage.outside, 'top.qcow2'), base);
      await stage.define({ devices: fileDisk(top) });
      await rename(top, `${top}.bak`);
      return { says: missing(top), show: () => rename(`${top}.bak`, top), destroy: undefine(stage) };
    },
  },
  {
    title: 'an overlay whose folder was moved',
    hide: async (stage, base) => {
      const folder = join(stage.outside, 'vms');
      await mkdir(folder);
      await stage.overlay(join(folder, 'top.qcow2'), base);
      await stage.define({ devices: fileDisk(join(folder, 'top.qcow2')) });
      await rename(folder, `${folder}.old`);
      return {
        says: missing(join(folder, 'top.qcow2')),
        show: () => rename(`${folder}.old`, folder),
        destroy: undefine(stage),
      };
    },
  },
  {
    title: 'an overlay in the pool that became its own base',
    hide: async (stage, base) => {
      const own = await stage.overlay(join(stage.pool, `${stage.key}.qcow2`), base);
      await qemuImg('rebase', '-u', '-F', 'qcow2', '-b', own, own);
      return {
        says: `volume uvtool/${stage.key}.qcow2: its chain of bases leads back to itself`,
        show: () => qemuImg('rebase', '-u', '-F', 'qcow2', '-b', base, own),
        destroy: () => rm(own),
      };
    },
  },
  {
    title: 'overlays that became the bases of each other, by a hard link',
    hide: async (stage, base) => {
      const one = await stage.overlay(join(stage.outside, 'one.qcow2'), base);
      const two = await stage.overlay(join(stage.pool, `${stage.key}.qcow2`), one);
      await link(two, join(stage.outside, 'two.qcow2'));
      await qemuImg('rebase', '-u', '-F', 'qcow2', '-b', 'two.qcow2', one);
      return {
        says: `file ${one}: its chain of bases leads back to itself`,
        show: () => qemuImg('rebase', '-u', '-F', 'qcow2', '-b', base, one),
        destroy: async () => {
          for (const path of [one, two, join(stage.outside, 'two.qcow2')]) await rm(path);
        },
      };
    },
  },
];

/** An image with a header as a guest may write it: it names a base, and the domain opens it as raw bytes. */
export async function guestHeader(path: string, base: string, work: string): Promise<string> {
  const overlay = join(work, 'guest-header');
  await qemuImg('create', '-q', '-f', 'qcow2', '-u', '-b', base, '-F', 'qcow2', overlay, String(IMAGE_BYTES));
  await copyFile(overlay, path);
  await appendFile(path, Buffer.alloc(65_536));
  return path;
}
