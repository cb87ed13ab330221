import { basename, join } from 'node:path';
import { disk, fileDisk, type Scenario, type Stage } from './scenario.ts';

const RUNNING: readonly Scenario[] = [
  {
    row: '4 live',
    title: 'keeps the disk of a running domain',
    build: async (stage) => {
      await stage.start({ devices: fileDisk(await stage.keep()) });
      await stage.twin();
    },
  },
  {
    row: '4 live volume',
    title: 'keeps the volume of a running domain that knows it by pool and name',
    build: async (stage) => {
      const name = basename(await stage.keep());
      await stage.twin();
      await stage.virsh('pool-refresh uvtool');
      await stage.start({ devices: disk(`pool='uvtool' volume='${name}'`, { type: 'volume' }) });
    },
  },
  {
    row: '4 live chain',
    title: 'keeps the chain of a running domain that is not defined any more',
    build: async (stage) => {
      const one = await stage.overlay(stage.keepPath('one'), await stage.keep('zero'));
      const top = await stage.overlay(join(stage.outside, 'top'), one);
      await stage.virsh(`create --paused ${await stage.xml({ devices: fileDisk(top) })}`);
      await stage.twin('zero');
    },
  },
  {
    row: '4 attach --live',
    title: 'keeps a disk that was attached to the running domain alone',
    build: async (stage) => {
      await stage.start();
      await stage.virsh(`attach-disk ${stage.domain()} ${await stage.keep()} vdb --subdriver qcow2 --live`);
      await stage.twin();
    },
  },
  {
    row: '4 attach --config',
    title: 'keeps a disk that the running domain will have only after its next start',
    build: async (stage) => {
      await stage.start();
      await stage.virsh(`attach-disk ${stage.domain()} ${await stage.keep()} vdb --subdriver qcow2 --config`);
      await stage.twin();
    },
  },
  {
    row: '4 eject',
    title: 'keeps a CD-ROM that was ejected from the running domain and will be back',
    build: async (stage) => {
      await stage.start({ devices: cdrom(await stage.keep()) });
      await stage.virsh(`change-media ${stage.domain()} hdc --eject --live`);
      await stage.twin();
    },
  },
  {
    row: '4 eject',
    title: 'collects a disk that was detached from the running domain and its configuration',
    build: async (stage) => {
      await stage.start({ devices: fileDisk(await stage.keep()) + cdrom(await stage.twin()) });
      await stage.virsh(`change-media ${stage.domain()} hdc --eject --live --config`);
    },
  },
  {
    row: '1.1 transient',
    title: 'keeps the disk under the transient overlay of a running domain',
    build: async (stage) => {
      const path = await stage.keep();
      await stage.start({ devices: fileDisk(path).replace('</disk>', '<transient/></disk>') });
      await stage.twin();
    },
  },
];

const SNAPSHOTS: readonly Scenario[] = [
  {
    row: '1.3 external snapshot, live',
    title: 'keeps what was the disk before a snapshot of the running domain',
    build: async (stage) => {
      await stage.start({ devices: fileDisk(await stage.keep()) });
      await stage.virsh(`snapshot-create-as ${stage.domain()} s1 --disk-only`);
      await stage.twin();
    },
  },
  {
    row: '1.3 external snapshot, nested',
    title: 'keeps the whole chain below two snapshots of a domain that is not running',
    build: async (stage) => {
      const top = await stage.overlay(stage.keepPath('top'), await stage.keep('base'));
      await stage.define({ devices: fileDisk(top) });
      await stage.virsh(
        `snapshot-create-as ${stage.domain()} s1 --disk-only`,
        `snapshot-create-as ${stage.domain()} s2 --disk-only`,
      );
      await stage.twin('base');
    },
  },
  {
    row: '1.3 snapshot after redefinition',
    title: 'keeps what a snapshot goes back to after the domain was defined anew',
    build: async (stage) => {
      await stage.define({ devices: fileDisk(await stage.keep()) });
      await stage.virsh(`snapshot-create-as ${stage.domain()} s1`);
      await stage.define({ devices: fileDisk(await stage.keep('new')) });
      await stage.twin();
    },
  },
  {
    row: '1.3 snapshot without metadata',
    title: 'keeps the base of an overlay that a snapshot left and no domain knows',
    build: async (stage) => {
      await stage.define({ devices: fileDisk(await stage.keep()) });
      const spec = `vda,file=${join(stage.pool, `${stage.key}.s1`)}`;
      await stage.virsh(
        `snapshot-create-as ${stage.domain()} s1 --disk-only --no-metadata --diskspec ${spec}`,
        `undefine ${stage.domain()}`,
      );
      await stage.twin();
    },
  },
  {
    row: '1.3 snapshot memory',
    title: 'keeps the memory of a snapshot',
    build: async (stage) => {
      await stage.start({ devices: fileDisk(await stage.keep()) });
      const spec = `file=${stage.keepPath('memory')},snapshot=external`;
      await stage.virsh(`snapshot-create-as ${stage.domain()} s1 --memspec ${spec}`);
      await stage.twin();
    },
  },
  {
    row: '1.3 checkpoint',
    title: 'keeps what a checkpoint remembers of a domain that was defined anew',
    build: async (stage) => {
      await stage.start({ devices: fileDisk(await stage.keep()) });
      await stage.virsh(`checkpoint-create-as ${stage.domain()} monday`, `destroy ${stage.domain()}`);
      await stage.define();
      await stage.twin();
    },
  },
];

const SAVED: readonly Scenario[] = [
  {
    row: '1.3 managed save',
    title: 'keeps the disks of a saved domain that was defined anew without them',
    build: async (stage) => {
      const top = await stage.overlay(join(stage.outside, 'top'), await stage.keep());
      await stage.start({ devices: fileDisk(top) });
      await stage.virsh(`managedsave ${stage.domain()}`);
      await stage.define();
      await stage.twin();
    },
  },
  {
    row: '1.3 save image',
    title: 'keeps the disk of a domain that is nothing but a save image in the pool',
    build: async (stage) => {
      await stage.start({ devices: fileDisk(await stage.keep()) });
      await stage.virsh(
        `save ${stage.domain()} ${join(stage.pool, `${stage.key}.save`)}`,
        `undefine ${stage.domain()}`,
      );
      await stage.twin();
    },
  },
];

const JOBS: readonly Scenario[] = [
  {
    row: '1.3 block copy',
    title: 'keeps the copy of a running block copy, and what it stands on',
    build: async (stage) => {
      const source = await stage.overlay(join(stage.outside, 'top'), await stage.keep('base'));
      const copy = await stage.overlay(stage.keepPath('copy'), await stage.keep('under'));
      await stage.start({ devices: fileDisk(source) });
      const target = `--dest ${copy} --format qcow2 --shallow --reuse-external --transient-job`;
      await stage.virsh(`blockcopy ${stage.domain()} vda ${target}`);
      await stage.twin('base');
      await stage.twin('under');
    },
  },
  {
    row: '1.3 active commit',
    title: 'keeps both ends of an active commit',
    build: async (stage) => {
      const top = await stage.overlay(stage.keepPath('top'), await stage.keep('base'));
      await stage.start({ devices: fileDisk(top) });
      await stage.virsh(`blockcommit ${stage.domain()} vda --active`);
      await stage.twin('top');
    },
  },
  {
    row: '1.3 pull backup',
    title: 'keeps the scratch file of a running pull backup',
    build: async (stage) => {
      const scratch = stage.keepPath('scratch');
      const server = `<server transport='unix' socket='${join(stage.outside, 'nbd.sock')}'/>`;
      await backup(stage, `${server}<disks><disk name='vda' type='file'><scratch file='${scratch}'/></disk></disks>`);
      await stage.twin('scratch');
    },
  },
];

const DEFINED: readonly Scenario[] = [
  {
    row: '1 documents',
    title: 'collects what only a domain needed that is not defined any more',
    build: async (stage) => {
      await stage.define({ devices: fileDisk(await stage.keep()) });
      await stage.define({ name: stage.domain('gone'), devices: fileDisk(await stage.twin()) });
      await stage.virsh(`undefine ${stage.domain('gone')}`);
    },
  },
];

/** What domains do (in-use.md, sections 1.3 and 4). */
export const DOMAIN_SCENARIOS: readonly Scenario[] = [...RUNNING, ...SNAPSHOTS, ...SAVED, ...JOBS, ...DEFINED];

function cdrom(path: string): string {
  return [
    `<disk type='file' device='cdrom'><driver name='qemu' type='qcow2'/><source file='${path}'/>`,
    "<target dev='hdc' bus='ide'/><readonly/></disk>",
  ].join('');
}

/** A backup in pull mode goes on until somebody ends it. */
async function backup(stage: Stage, content: string): Promise<void> {
  await stage.start({ devices: fileDisk(await stage.keep()) });
  const xml = await stage.file('backup.xml', `<domainbackup mode='pull'>${content}</domainbackup>`);
  await stage.virsh(`backup-begin ${stage.domain()} ${xml}`);
}
