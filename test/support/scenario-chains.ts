import { rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { qemuImg } from './qemu.ts';
import { fileDisk, IMAGE_BYTES, type Scenario, type Stage } from './scenario.ts';

const FORMATS: readonly Scenario[] = [
  {
    row: '3 relative with a colon',
    title: 'keeps the base behind a relative name with a colon',
    build: async (stage) => {
      await stage.overlay(join(stage.outside, 'a:b.img'), await stage.keep());
      await stage.overlay(join(stage.outside, 'top'), 'a:b.img');
      await stage.define({ devices: fileDisk(join(stage.outside, 'top')) });
      await stage.twin();
    },
  },
  {
    row: '3 QED',
    title: 'keeps the base of a QED overlay, which libvirt cannot describe',
    build: async (stage) => {
      const base = await stage.keep();
      await qemuImg(
        'create',
        '-q',
        '-f',
        'qed',
        '-u',
        '-b',
        base,
        '-F',
        'qcow2',
        join(stage.pool, `${stage.key}.qed`),
        '1M',
      );
      await stage.twin();
    },
  },
  {
    row: '3 qcow, version 1',
    title: 'keeps the base of an overlay in the first qcow format',
    build: async (stage) => {
      const base = await stage.keep();
      await qemuImg(
        'create',
        '-q',
        '-f',
        'qcow',
        '-u',
        '-b',
        base,
        '-F',
        'qcow2',
        join(stage.pool, `${stage.key}.qcow`),
        '1M',
      );
      await stage.twin();
    },
  },
  {
    row: '3 qcow2, version 2',
    title: 'keeps the base of an overlay with the old header',
    build: async (stage) => {
      const top = join(stage.pool, `${stage.key}.qcow2`);
      const base = await stage.keep();
      await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'compat=0.10', '-u', '-b', base, '-F', 'qcow2', top, '1M');
      await stage.twin();
    },
  },
  {
    row: '3 no format',
    title: 'keeps a base of which the overlay does not record the format',
    build: async (stage) => {
      const [top, base] = [join(stage.pool, `${stage.key}.qcow2`), await stage.keep()];
      await qemuImg('create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, top);
      await qemuImg('rebase', '-u', '-b', base, '-F', '', top).catch(() => undefined);
      await stage.twin();
    },
  },
  {
    row: '3 data_file',
    title: 'keeps the data file of a qcow2 image',
    build: async (stage) => {
      for (const [path, name] of [
        [stage.keepPath(), 'one'],
        [stage.twinPath(), 'two'],
      ] as const) {
        const top = join(stage.outside, name);
        await qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${path}`, top, '1M');
        if (name === 'one') await rename(top, join(stage.pool, `${stage.key}.qcow2`));
        else await rm(top);
      }
    },
  },
  {
    row: '3 VMDK extents',
    title: 'keeps the extents of a VMDK image',
    build: async (stage) => {
      const [flat, twin] = [stage.keepPath(), stage.twinPath()];
      for (const path of [flat, twin]) await writeFile(path, Buffer.alloc(IMAGE_BYTES));
      await writeFile(join(stage.pool, `${stage.key}.vmdk`), vmdkDescriptor(basename(flat)));
    },
  },
  {
    row: '3 VMDK parent',
    title: 'keeps the parent of a VMDK image',
    build: async (stage) => {
      const [parent, twin] = [stage.keepPath(), stage.twinPath()];
      for (const path of [parent, twin]) await qemuImg('create', '-q', '-f', 'vmdk', path, '1M');
      const top = join(stage.pool, `${stage.key}.vmdk`);
      await qemuImg('create', '-q', '-f', 'vmdk', '-b', parent, '-F', 'vmdk', top);
    },
  },
  {
    row: '3 no magic',
    title: 'does not take text in raw images for references',
    build: async (stage) => {
      await stage.overlay(join(stage.pool, `${stage.key}.qcow2`), await stage.keep());
      await writeFile(join(stage.pool, `${stage.key}.raw`), `#!/bin/sh\nqemu-img info ${await stage.twin()}\n`);
    },
  },
];

const CHAINS: readonly Scenario[] = [
  {
    row: '3 chain of five',
    title: 'keeps all of a chain that only a foreign overlay stands on',
    build: async (stage) => {
      await chain(stage, ['one', 'two', 'three', 'four'], join(stage.pool, `${stage.key}.qcow2`));
      await stage.twin('one');
    },
  },
  {
    row: '3 chain of five',
    title: 'collects a chain that ends in a volume that nothing needs',
    build: async (stage) => {
      await stage.keep();
      await stage.define({ devices: fileDisk(stage.needed[0] ?? '') });
      let below = await stage.twin('zero');
      for (const role of ['one', 'two', 'three', 'four']) below = await stage.overlay(stage.twinPath(role), below);
    },
  },
  {
    row: '3 outside every pool',
    title: 'keeps the base of a chain outside every pool, of a domain that is not running',
    build: async (stage) => {
      const middle = await stage.overlay(join(stage.outside, 'middle'), await stage.keep());
      await stage.overlay(join(stage.outside, 'top'), basename(middle));
      await stage.define({ devices: fileDisk(join(stage.outside, 'top')) });
      await stage.twin();
    },
  },
  {
    row: '3 XML and header differ',
    title: 'keeps the base in the header although the domain names another one',
    build: async (stage) => {
      const overlay = await stage.overlay(join(stage.outside, 'top'), await stage.keep('header'));
      const inner = `<backingStore type='file'><format type='qcow2'/><source file='${await stage.keep('xml')}'/><backingStore/></backingStore>`;
      await stage.define({ devices: fileDisk(overlay).replace('</disk>', `${inner}</disk>`) });
      await stage.twin('header');
    },
  },
  {
    row: '3 stale XML',
    title: 'keeps the new base of an overlay that was rebased behind the back of libvirt',
    build: async (stage) => {
      const folder = await poolOf(stage);
      const top = await stage.overlay(join(folder, 'top.qcow2'), await stage.keep('old'));
      await stage.virsh(`pool-refresh ${stage.key}`);
      await qemuImg('rebase', '-u', '-b', await stage.keep('new'), '-F', 'qcow2', top);
      await stage.twin('new');
    },
  },
  {
    row: '3 never refreshed',
    title: 'keeps the base of an overlay that was never refreshed into its pool',
    build: async (stage) => {
      await stage.overlay(join(await poolOf(stage), 'top.qcow2'), await stage.keep());
      await stage.twin();
    },
  },
  {
    row: '3 never refreshed',
    title: 'keeps the base of a raw volume that became an overlay',
    build: async (stage) => {
      const top = join(await poolOf(stage), 'top');
      await writeFile(top, 'raw');
      await stage.virsh(`pool-refresh ${stage.key}`);
      await rm(top);
      await stage.overlay(top, await stage.keep());
      await stage.twin();
    },
  },
  {
    row: '2 inactive pool',
    title: 'keeps the base of an overlay in an inactive pool',
    build: async (stage) => {
      await stage.overlay(join(await poolOf(stage), 'top.qcow2'), await stage.keep());
      await stage.virsh(`pool-destroy ${stage.key}`);
      await stage.twin();
    },
  },
  {
    row: '2 inactive pool',
    title: 'keeps the base of a domain whose volume is in an inactive pool',
    build: async (stage) => {
      await stage.overlay(join(await poolOf(stage), 'top.qcow2'), await stage.keep());
      await stage.virsh(`pool-destroy ${stage.key}`);
      const source = `<source pool='${stage.key}' volume='top.qcow2'/>`;
      await stage.define({
        devices: fileDisk('').replace("type='file'", "type='volume'").replace("<source file=''/>", source),
      });
      await stage.twin();
    },
  },
];

/** Image formats and chains (in-use.md, section 3). */
export const CHAIN_SCENARIOS: readonly Scenario[] = [...FORMATS, ...CHAINS];

/** Managed volumes, each standing on the one before, and a foreign overlay on the last. */
async function chain(stage: Stage, roles: readonly string[], top: string): Promise<void> {
  let below = await stage.keep('zero');
  for (const role of roles) below = await stage.overlay(stage.keepPath(role), below);
  await stage.overlay(top, below);
}

/** A pool of the scenario's own, active and empty. */
async function poolOf({ world, key }: Stage): Promise<string> {
  const folder = await world.libvirtd.poolDir(`pool-${key}`);
  await world.libvirtd.virsh(`pool-define-as ${key} dir --target ${folder}; pool-start ${key}`);
  return folder;
}

function vmdkDescriptor(extent: string): string {
  return [
    '# Disk DescriptorFile',
    'version=1',
    'CID=12345678',
    'parentCID=ffffffff',
    'createType="monolithicFlat"',
    `RW ${IMAGE_BYTES / 512} FLAT "${extent}" 0`,
    '',
  ].join('\n');
}
