import { copyFile, link, mkdir, open, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { qcow2Head } from '../unit/image-format/qcow2-image.ts';
import type { HostTricks } from './host-tricks.ts';
import { addManagedImages, managedImage } from './managed-images.ts';
import { qemuImg } from './qemu.ts';
import { disk, fileDisk, type Stage, volumeName } from './scenario.ts';

/** A situation beside which an image must go, though it looks at first as if something needed it. */
export interface Situation {
  /** A promise: what goes. */
  readonly title: string;
  /** The promise whose twin it is, where it is one. */
  readonly id?: string;
  build(stage: Stage, tricks: HostTricks): Promise<void>;
  /** Done when everything has its record, one situation after the other. */
  readonly finish?: (stage: Stage) => Promise<void>;
}

const missing = (stage: Stage, name = 'missing'): string => join(stage.outside, 'gone', name);

const DOMAINS: readonly Situation[] = [
  { title: 'an image that nothing names', build: async (stage) => void (await stage.twin()) },
  {
    title: 'the disk of a domain that was undefined',
    build: async (stage) => {
      await stage.define({ devices: fileDisk(await stage.twin()) });
      await stage.virsh(`undefine ${stage.domain()}`);
    },
  },
  {
    title: 'a disk that its domain was defined without again',
    build: async (stage) => {
      await stage.define({ devices: fileDisk(await stage.twin()) });
      await stage.define({ devices: fileDisk(await stage.keep()) });
    },
  },
  {
    title: 'a disk that a running domain and its definition let go',
    build: async (stage) => {
      await stage.start({ devices: fileDisk(await stage.keep()) });
      await stage.virsh(
        `attach-disk ${stage.domain()} ${await stage.twin('second')} vdb --subdriver qcow2 --config`,
        `detach-disk ${stage.domain()} vdb --config`,
      );
    },
  },
  {
    title: 'a disk that only a snapshot of its domain named, which was deleted',
    build: async (stage) => {
      await stage.define({ devices: fileDisk(await stage.twin()) });
      await stage.virsh(`snapshot-create-as ${stage.domain()} one`, `snapshot-delete ${stage.domain()} one --metadata`);
      await stage.define({ devices: fileDisk(await stage.keep()) });
    },
  },
  {
    title: 'an image that only the description of a domain mentions',
    build: async (stage) => {
      await stage.define({ more: `<description>was ${await stage.twin()} once</description>` });
    },
  },
  {
    title: 'an image that only the metadata of a domain mention',
    build: async (stage) => {
      const note = `<n:note xmlns:n='http://example.org/note'>${await stage.twin()}</n:note>`;
      await stage.define({ more: `<metadata>${note}</metadata>` });
    },
  },
  {
    title: 'an image whose path is a place inside a guest',
    build: async (stage) => {
      const shared = `<filesystem type='mount'><source dir='${stage.outside}'/><target dir='${await stage.twin()}'/></filesystem>`;
      await stage.define({ devices: shared });
    },
  },
  {
    title: 'an image beside which a domain shares a folder of nearly the same path',
    build: async (stage) => {
      await stage.twin();
      const shared = `<filesystem type='mount'><source dir='${stage.pool}-old'/><target dir='t'/></filesystem>`;
      await stage.define({ devices: shared });
    },
  },
  {
    title: 'an image whose name another file has that a domain uses',
    build: async (stage) => {
      const twin = await stage.twin();
      await stage.define({ devices: fileDisk(await stage.image(join(stage.outside, basename(twin)))) });
    },
  },
];

const CHAINS: readonly Situation[] = [
  {
    title: 'a chain of four that nothing stands on',
    build: async (stage) => {
      let below = await stage.twin('one');
      for (const role of ['two', 'three', 'four']) below = await stage.overlay(stage.twinPath(role), below);
    },
  },
  {
    title: 'an overlay of an image that is needed',
    build: async (stage) => {
      const base = await stage.keep();
      await stage.define({ devices: fileDisk(base) });
      await stage.overlay(stage.twinPath('overlay'), base);
    },
  },
  {
    title: 'the former base of an overlay that was rebased',
    build: async (stage) => {
      const top = await stage.overlay(join(stage.outside, 'top.qcow2'), await stage.twin('old'));
      await qemuImg('rebase', '-u', '-F', 'qcow2', '-b', await stage.keep('new'), top);
      await stage.define({ devices: fileDisk(top) });
    },
  },
  {
    title: 'the former base of an overlay that stands on nothing any more',
    build: async (stage) => {
      const top = await stage.overlay(join(stage.outside, 'top.qcow2'), await stage.twin());
      await qemuImg('rebase', '-u', '-b', '', top);
      await stage.define({ devices: fileDisk(top) });
    },
  },
  {
    title: 'the base of an overlay that was removed, with the domain that named it',
    build: async (stage) => {
      const top = await stage.overlay(join(stage.outside, 'top.qcow2'), await stage.twin());
      await stage.define({ devices: fileDisk(top) });
      await rm(top);
      await stage.virsh(`undefine ${stage.domain()}`);
    },
  },
  {
    title: 'the base of an overlay that lies in the trash',
    id: 'B3',
    build: async (stage) => {
      await stage.overlay(stage.twinPath('overlay'), await stage.twin());
    },
    finish: async (stage) => {
      await stage.world.poolkeeper('delete', '--now', volumeName(stage.key, 'overlay', '1.1'));
    },
  },
];

const ABSENT: readonly Situation[] = [
  {
    title: 'an image beside a raw disk that is missing',
    id: 'D5',
    build: async (stage) => {
      await stage.twin();
      await stage.define({ devices: disk(`file='${missing(stage)}'`, { format: 'raw' }) });
    },
  },
  {
    title: 'an image beside a missing disk of no stated format',
    id: 'D5',
    build: async (stage) => {
      await stage.twin();
      const device = `<disk type='file' device='disk'><source file='${missing(stage)}'/><target dev='vda' bus='virtio'/></disk>`;
      await stage.define({ devices: device });
    },
  },
  {
    title: 'an image beside a CD-ROM that is missing',
    id: 'D5',
    build: async (stage) => {
      await stage.twin();
      const cdrom = `<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='${missing(stage)}' startupPolicy='optional'/><target dev='hdc' bus='ide'/><readonly/></disk>`;
      await stage.define({ devices: cdrom });
    },
  },
  {
    title: 'an image beside a log of a serial port that is missing',
    id: 'D5',
    build: async (stage) => {
      await stage.twin();
      await stage.define({ devices: `<serial type='file'><source path='${missing(stage)}'/></serial>` });
    },
  },
  {
    title: 'an image beside a source of random numbers that is missing',
    id: 'D5',
    build: async (stage) => {
      await stage.twin();
      const rng = `<rng model='virtio'><backend model='random'>${missing(stage)}</backend></rng>`;
      await stage.define({ devices: rng });
    },
  },
  {
    title: 'an image beside a kernel that is missing',
    id: 'D5',
    build: async (stage) => {
      await stage.twin();
      await stage.define({ os: `<kernel>${missing(stage, 'vmlinuz')}</kernel>` });
    },
  },
  {
    title: 'an image beside a raw network disk of another name',
    id: 'D6',
    build: async (stage) => {
      await stage.twin();
      const source = `<source protocol='nbd' name='${stage.key}-export'><host name='127.0.0.1' port='10809'/></source>`;
      const device = `<disk type='network' device='disk'><driver name='qemu' type='raw'/>${source}<target dev='vda' bus='virtio'/></disk>`;
      await stage.define({ devices: device });
    },
  },
  {
    title: 'an image beside a raw disk in which a guest wrote a header that names a missing file',
    id: 'D10',
    build: async (stage) => {
      await stage.twin();
      const path = join(stage.outside, 'guest.raw');
      const name = missing(stage);
      await writeFile(path, qcow2Head({ backing: { offset: 4096n, length: name.length, name } }));
      await stage.world.libvirtd.give(path);
      await stage.define({ devices: disk(`file='${path}'`, { format: 'raw' }) });
    },
  },
  {
    title: 'an image beside a raw disk in which a guest wrote a header that nobody can read',
    id: 'D10',
    build: async (stage) => {
      await stage.twin();
      const path = join(stage.outside, 'guest.raw');
      await writeFile(path, qcow2Head({ version: 99 }));
      await stage.world.libvirtd.give(path);
      await stage.define({ devices: disk(`file='${path}'`, { format: 'raw' }) });
    },
  },
  {
    title: 'an image beside a stopped pool whose folder can be read',
    id: 'D6',
    build: async (stage) => {
      await stage.twin();
      const folder = join(stage.outside, 'stopped');
      await mkdir(folder);
      await stage.overlay(join(folder, 'other.qcow2'), await stage.keep());
      await stage.virsh(`pool-define-as ${stage.key} dir --target ${folder}`);
    },
  },
  {
    title: 'an image beside a disk on a file system that is mounted',
    id: 'D4',
    build: async (stage, tricks) => {
      await stage.twin();
      const at = join(stage.outside, 'mounted');
      await tricks.disk('ext4', join(stage.outside, 'ext4.img'), at);
      const top = await stage.overlay(join(at, 'top.qcow2'), await stage.keep());
      await stage.define({ devices: fileDisk(top) });
    },
  },
  {
    title: 'an image beside a disk that is found behind a link',
    id: 'D6',
    build: async (stage) => {
      await stage.twin();
      const top = await stage.overlay(join(stage.outside, 'top.qcow2'), await stage.keep());
      await symlink(top, join(stage.outside, 'link.qcow2'));
      await stage.define({ devices: fileDisk(join(stage.outside, 'link.qcow2')) });
    },
  },
];

const HELD: readonly Situation[] = [
  {
    title: 'an image that a process had open until a moment ago',
    id: 'C1',
    build: async (stage) => {
      const file = await open(await stage.twin());
      await file.close();
    },
  },
  {
    title: 'an image beside one that a process has open',
    id: 'C2',
    build: async (stage, tricks) => {
      await stage.twin();
      await tricks.hold('process', await stage.keep(), stage.outside);
    },
  },
  {
    title: 'an image beside one behind a loop device',
    id: 'C2',
    build: async (stage, tricks) => {
      await stage.twin();
      await tricks.loop(await stage.keep());
    },
  },
  {
    title: 'an image with a second name that nobody uses',
    build: async (stage) => {
      await link(await stage.twin(), join(stage.outside, 'second-name'));
    },
  },
  {
    title: 'an image beside an overlay mount of another folder',
    id: 'C4',
    build: async (stage, tricks) => {
      await stage.twin();
      const lower = join(stage.outside, 'lower');
      await mkdir(lower);
      await tricks.overlay(lower, join(stage.outside, 'overlay'), join(stage.outside, 'merged'));
    },
  },
  {
    title: 'an image beside a bind mount of another folder',
    build: async (stage, tricks) => {
      await stage.twin();
      await mkdir(join(stage.outside, 'bound'));
      await tricks.bind(join(stage.outside, 'bound'), join(stage.outside, 'second'));
    },
  },
  {
    title: 'an image whose lease ended with its command',
    id: 'C5',
    build: (stage) => bringActive(stage),
    finish: async ({ world, key }) => {
      const volume = volumeName(key, 'base', '1.1');
      await world.poolkeeper('lease', 'run', volume, '--', 'true');
      await world.poolkeeper('delete', volume);
    },
  },
  {
    title: 'an image whose lock was taken off',
    build: (stage) => bringActive(stage),
    finish: async ({ world, key }) => {
      const volume = volumeName(key, 'base', '1.1');
      await world.poolkeeper('lock', volume);
      await world.poolkeeper('unlock', volume);
      await world.poolkeeper('delete', volume);
    },
  },
];

const RECORDS: readonly Situation[] = [
  {
    title: 'an image whose lock was for a time that is over',
    build: async (stage) => {
      const [since, until] = [Date.now() - 7_200_000, Date.now() - 3_600_000];
      await addTwin(stage, { pin: { reason: 'audit', since, until } });
    },
  },
  {
    title: 'an image that did not arrive whole',
    build: (stage) => addTwin(stage, { status: 'killed', reason: 'sha256' }),
  },
  {
    title: 'an image that was deleted and whose file came back',
    build: (stage) => addTwin(stage, { status: 'deleted' }),
  },
  {
    title: 'the snapshot of a persistent image that was deleted',
    id: 'A4',
    build: async (stage) => {
      const persistent = { type: 'os', isPersistent: true } as const;
      const product = `com.example:${stage.key}:base`;
      const made = await addManagedImages(stage.world, [{ product, status: 'active', traits: persistent }]);
      stage.needed.push(...made.map(({ path }) => path));
      const traits = { type: 'os', isPersistent: false, snapshotOf: volumeName(stage.key, 'base', '1') } as const;
      await addTwin(stage, { traits });
    },
  },
  {
    title: 'an image beside an old one that a lock keeps',
    build: async (stage) => {
      await stage.twin();
      stage.needed.push(
        ...(
          await addManagedImages(stage.world, [
            {
              product: `com.example:${stage.key}:locked`,
              pin: { reason: 'audit', since: Date.now() - 1000, until: undefined },
            },
          ])
        ).map(({ path }) => path),
      );
    },
  },
  {
    title: 'an image of the same content as one that is needed',
    build: async (stage) => {
      const needed = await stage.keep();
      await stage.define({ devices: fileDisk(needed) });
      await copyFile(needed, stage.twinPath('copy'));
      await stage.world.libvirtd.give(join(stage.pool, volumeName(stage.key, 'copy', '1.1')));
    },
  },
];

/** Situations in which everything can be seen. */
export const SEEN: readonly Situation[] = [...DOMAINS, ...CHAINS, ...HELD, ...RECORDS];

/** Situations in which something is not there, and that says nothing of an image: on a host of their own, as one mistake would keep all of them. */
export const NOT_THERE: readonly Situation[] = ABSENT;

async function bringActive(stage: Stage): Promise<void> {
  await addTwin(stage, { status: 'active' });
}

async function addTwin(
  stage: Stage,
  image: Omit<Parameters<typeof addManagedImages>[1][number], 'product'>,
): Promise<void> {
  const product = `com.example:${stage.key}:base`;
  stage.twins.push(managedImage(stage.world, product, '1.1').path);
  await addManagedImages(stage.world, [{ ...image, product, version: '1.1' }]);
}
