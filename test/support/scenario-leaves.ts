import { basename } from 'node:path';
import { disk, type DomainParts, type Scenario } from './scenario.ts';

/** A place of the domain XML that may name a volume, in the spelling that libvirt 9.0 accepts. */
type Leaf = readonly [row: string, what: string, parts: (path: string) => DomainParts];

const QEMU = 'http://libvirt.org/schemas/domain/qemu/1.0';

const DISKS: readonly Leaf[] = [
  ['1.1 file', 'a disk of an inactive domain', (path) => devices(disk(`file='${path}'`))],
  [
    '1.1 no type',
    'a disk without a type',
    (path) => devices(`<disk device='disk'><source file='${path}'/><target dev='vda' bus='virtio'/></disk>`),
  ],
  ['1.1 block', 'a block disk', (path) => devices(disk(`dev='${path}'`, { type: 'block' }))],
  [
    '1.1 volume',
    'a disk that is a volume of a pool',
    (path) => devices(disk(`pool='uvtool' volume='${basename(path)}'`, { type: 'volume' })),
  ],
  ['1.1 raw', 'a raw disk', (path) => devices(disk(`file='${path}'`, { format: 'raw' }))],
  [
    '1.1 cdrom',
    'a CD-ROM that may be missing at start',
    (path) =>
      devices(
        `<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='${path}' startupPolicy='optional'/><target dev='hdc' bus='ide'/><readonly/></disk>`,
      ),
  ],
  [
    '1.1 floppy',
    'a floppy',
    (path) =>
      devices(
        `<disk type='file' device='floppy'><driver name='qemu' type='raw'/><source file='${path}'/><target dev='fda' bus='fdc'/></disk>`,
      ),
  ],
  [
    '1.1 lun',
    'a LUN',
    (path) =>
      devices(
        `<disk type='block' device='lun'><driver name='qemu' type='raw'/><source dev='${path}'/><target dev='sda' bus='scsi'/></disk>`,
      ),
  ],
  [
    '1.1 backingStore',
    'a backing store that only the configuration names',
    (path) => devices(disk("file='/nowhere-else/top.img'", { format: 'raw', inner: backing(`file='${path}'`) })),
  ],
  [
    '1.1 backingStore//backingStore',
    'a backing store of a backing store',
    (path) =>
      devices(
        disk("file='/nowhere-else/top.img'", {
          format: 'raw',
          inner: backing("file='/nowhere-else/mid.img'", backing(`file='${path}'`), 'raw'),
        }),
      ),
  ],
  [
    '1.1 network nbd',
    'an NBD export of that name',
    (path) => devices(network('nbd', basename(path), "<host name='127.0.0.1' port='10809'/>")),
  ],
  [
    '1.1 network http',
    'a web address of that name',
    (path) => devices(network('http', `images/${basename(path)}`, "<host name='127.0.0.1' port='80'/>")),
  ],
  [
    '1.1 network gluster',
    'a file of a Gluster volume',
    (path) => devices(network('gluster', `vol0/${basename(path)}`, "<host name='127.0.0.1'/>")),
  ],
  [
    '1.1 network nfs',
    'a file of an NFS export',
    (path) =>
      devices(
        `<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='nfs' name='/export/${basename(path)}'><host name='127.0.0.1'/></source><target dev='vda' bus='virtio'/></disk>`,
      ),
  ],
];

const BOOT: readonly Leaf[] = [
  ['1.2 os/kernel', 'a kernel', (path) => ({ os: `<kernel>${path}</kernel>` })],
  ['1.2 os/initrd', 'an initial ramdisk', (path) => ({ os: `<kernel>/boot/vmlinuz</kernel><initrd>${path}</initrd>` })],
  ['1.2 os/dtb', 'a device tree', (path) => ({ os: `<kernel>/boot/vmlinuz</kernel><dtb>${path}</dtb>` })],
  ['1.2 os/loader', 'firmware', (path) => ({ os: `<loader readonly='yes' type='rom'>${path}</loader>` })],
  ['1.2 os/nvram', 'firmware variables', (path) => ({ os: `${PFLASH}<nvram>${path}</nvram>` })],
  [
    '1.2 os/nvram/@template',
    'the template of firmware variables',
    (path) => ({ os: `${PFLASH}<nvram template='${path}'>/nowhere-else/vars.fd</nvram>` }),
  ],
  [
    '1.1 os/nvram[@type]',
    'firmware variables with a source',
    (path) => ({ os: `${PFLASH}<nvram type='file'><source file='${path}'/></nvram>` }),
  ],
  ['1.2 os/acpi/table', 'an ACPI table', (path) => ({ os: `<acpi><table type='slic'>${path}</table></acpi>` })],
  [
    '1.2 sysinfo',
    'a blob for fw_cfg',
    (path) => ({ more: `<sysinfo type='fwcfg'><entry name='opt/com.example/blob' file='${path}'/></sysinfo>` }),
  ],
];

const DEVICES: readonly Leaf[] = [
  [
    '1.2 rom',
    'a boot ROM',
    (path) => devices(`<interface type='user'><model type='virtio'/><rom bar='on' file='${path}'/></interface>`),
  ],
  [
    '1.2 memory',
    'an NVDIMM',
    (path) => ({
      more: [
        "<maxMemory slots='4' unit='KiB'>2097152</maxMemory>",
        "<cpu><numa><cell id='0' cpus='0' memory='262144' unit='KiB'/></numa></cpu>",
      ].join(''),
      memoryKiB: 262_144,
      devices: [
        `<memory model='nvdimm'><source><path>${path}</path></source>`,
        "<target><size unit='KiB'>524288</size><node>0</node></target></memory>",
      ].join(''),
    }),
  ],
  [
    '1.2 lease',
    'the file of a lease',
    (path) => devices(`<lease><lockspace>a</lockspace><key>k</key><target path='${path}'/></lease>`),
  ],
  [
    '1.2 serial',
    'the output of a serial line',
    (path) => devices(`<serial type='file'><source path='${path}'/></serial>`),
  ],
  [
    '1.2 parallel',
    'the output of a parallel port',
    (path) => devices(`<parallel type='file'><source path='${path}'/></parallel>`),
  ],
  [
    '1.2 console',
    'the output of a console',
    (path) => devices(`<console type='file'><source path='${path}'/><target type='virtio'/></console>`),
  ],
  [
    '1.2 channel',
    'the output of a channel',
    (path) =>
      devices(`<channel type='file'><source path='${path}'/><target type='virtio' name='com.example'/></channel>`),
  ],
  ['1.2 log', 'the log of a serial line', (path) => devices(`<serial type='pty'><log file='${path}'/></serial>`)],
  ['1.2 audio', 'the output of a sound card', (path) => devices(`<audio id='1' type='file' path='${path}'/>`)],
  [
    '1.2 interface script',
    'a script',
    (path) => devices(`<interface type='ethernet'><script path='${path}'/><model type='virtio'/></interface>`),
  ],
  [
    '1.2 blkiotune',
    'a disk that is tuned',
    (path) => ({ more: `<blkiotune><device><path>${path}</path><weight>500</weight></device></blkiotune>` }),
  ],
];

const COMMAND_LINE: readonly Leaf[] = [
  ['1.2 qemu:arg -drive', 'a drive of the command line', (path) => commandLine('-drive', `file=${path},if=none,id=a`)],
  [
    '1.2 qemu:arg -blockdev',
    'a block device of the command line',
    (path) =>
      commandLine('-blockdev', `{"driver":"qcow2","node-name":"a","file":{"driver":"file","filename":"${path}"}}`),
  ],
  ['1.2 qemu:arg -kernel', 'a kernel of the command line', (path) => commandLine('-kernel', path)],
  [
    '1.2 qemu:arg nbd',
    'an export in the command line',
    (path) => commandLine('-drive', `format=raw,file=nbd:localhost:1:exportname=${basename(path)}`),
  ],
  [
    '1.2 qemu:env',
    'a variable for QEMU',
    (path) => ({
      more: `<qemu:commandline xmlns:qemu='${QEMU}'><qemu:env name='IMAGE' value='${path}'/></qemu:commandline>`,
    }),
  ],
  [
    '1.2 qemu:override',
    'an overridden property',
    (path) => ({
      devices: "<interface type='user'><model type='virtio'/><alias name='ua-net'/></interface>",
      more: [
        `<qemu:override xmlns:qemu='${QEMU}'><qemu:device alias='ua-net'><qemu:frontend>`,
        `<qemu:property name='romfile' type='string' value='${path}'/>`,
        '</qemu:frontend></qemu:device></qemu:override>',
      ].join(''),
    }),
  ],
];

const PFLASH = "<loader readonly='yes' type='pflash'>/nowhere-else/code.fd</loader>";

/** Every place of an inactive domain's XML. The twin is named where it means nothing: in the description. */
export const LEAF_SCENARIOS: readonly Scenario[] = [...DISKS, ...BOOT, ...DEVICES, ...COMMAND_LINE].map(
  ([row, what, parts]) => ({
    row,
    title: `keeps ${what}`,
    build: async (stage) => {
      const { more = '', ...others } = parts(await stage.keep());
      const twin = await stage.twin();
      await stage.define({ ...others, more: `<description>once stood on ${twin}</description>${more}` });
    },
  }),
);

function devices(xml: string): DomainParts {
  return { devices: xml };
}

function backing(source: string, inner = '<backingStore/>', format = 'qcow2'): string {
  return `<backingStore type='file'><format type='${format}'/><source ${source}/>${inner}</backingStore>`;
}

function network(protocol: string, name: string, host: string): string {
  return [
    `<disk type='network' device='disk'><driver name='qemu' type='raw'/>`,
    `<source protocol='${protocol}' name='${name}'>${host}</source><target dev='vda' bus='virtio'/></disk>`,
  ].join('');
}

function commandLine(...words: readonly string[]): DomainParts {
  const list = words.map((word) => `<qemu:arg value='${word}'/>`).join('');
  return { more: `<qemu:commandline xmlns:qemu='${QEMU}'>${list}</qemu:commandline>` };
}
