import { CHARACTER_DEVICE_ELEMENTS } from './domain-rules.ts';
import type { Rule } from './rule.ts';

type Exclusion = readonly [xpath: string, reason: string];

const LABELS: readonly Exclusion[] = [
  ['//metadata', 'belongs to other programs'],
  ['//title', 'free text of the administrator'],
  ['//description', 'free text of the administrator'],
  ['//seclabel', 'security label'],
  ['//permissions/label', 'security label'],
  ['//resource/partition', 'control group'],
  ['//secret/@usage', 'label of a secret, often spelled like the path of its volume'],
  ['//cookies', 'secret values for an HTTP server'],
  ['//graphics/@passwd', 'password'],
  ['//sysinfo//entry/text()', 'text shown to the guest; the file of a fwcfg entry is an attribute'],
  [
    '//launchSecurity/*[self::dhCert or self::session or self::idBlock or self::idAuth or self::hostData]/text()',
    'inline base64, which may begin with a slash',
  ],
  [
    '//launchSecurity/*[self::mrConfigId or self::mrOwner or self::mrOwnerConfig]/text()',
    'inline base64, which may begin with a slash',
  ],
];

const GUEST_SIDE: readonly Exclusion[] = [
  ['//os/init', 'program inside the container'],
  ['//os/initarg', 'its argument'],
  ['//os/initenv', 'its environment'],
  ['//os/initdir', 'its directory'],
  ['//os/root', 'root device, as the guest kernel names it'],
  ['//os/cmdline', 'arguments of the guest kernel'],
  ['//bootloader_args', 'paths inside the guest image'],
  ['//filesystem/target', 'mount point inside the guest'],
  ["//filesystem[@type='bind']/source/@dir", 'directory inside the container'],
];

const SOCKETS: readonly Exclusion[] = [
  ["//interface[@type='vhostuser']/source/@path", 'socket'],
  ["//tpm/backend[@type='external']/source/@path", 'socket of a swtpm that libvirt did not start'],
  ['//launchSecurity/quoteGenerationService/@path', 'socket'],
  ["//disk[@type='vhostuser']/source/@path", 'socket'],
  ['//host/@socket', 'socket of a network disk'],
  ['//reservations', 'socket of the persistent reservations helper'],
  ['//filesystem/source/@socket', 'socket of a virtiofsd that libvirt did not start'],
  ['//graphics/@socket', 'socket'],
  ['//listen/@socket', 'socket'],
  ['//shmem/server/@path', 'socket'],
  ['//domainbackup/server/@socket', 'socket of the NBD server'],
];

const CHARACTER_DEVICES: readonly Exclusion[] = CHARACTER_DEVICE_ELEMENTS.flatMap((element): readonly Exclusion[] => [
  [`//${element}[@type='unix']/source/@path`, 'socket'],
  [`//${element}[@type='pty']/source/@path`, 'pseudo terminal'],
  [`//${element}/@tty`, 'pseudo terminal'],
  [`//${element}[@type='pipe']/source/@path`, 'named pipe'],
  [`//${element}[@type='nmdm']/source`, 'null modem'],
  [`//${element}[@type='dev']/source/@path[starts-with(., '/dev/')]`, 'character device'],
]);

// Named by place and, where the place may also hold a file, by the value.
const DEVICE_NODES: readonly Exclusion[] = [
  ["//rng/backend[@model='random'][starts-with(normalize-space(), '/dev/')]", 'source of entropy'],
  ["//interface/backend/@tap[starts-with(., '/dev/')]", 'network device'],
  ["//interface/backend/@vhost[starts-with(., '/dev/')]", 'network device'],
  ["//interface[@type='vdpa']/source/@dev", 'network device'],
  ["//disk[@type='vhostvdpa']/source/@dev", 'vDPA device'],
  ["//disk[@type='ctl']/source/@dev", 'device of the CAM target layer'],
  ["//tpm/backend[@type='passthrough']/device/@path", 'TPM'],
  ['//gl/@rendernode', 'graphics device'],
  ['//acceleration/@rendernode', 'graphics device'],
  ["//input/source/@dev[starts-with(., '/dev/')]", 'input device'],
  ["//input/source/@evdev[starts-with(., '/dev/')]", 'input device'],
  ["//audio/*/@dev[starts-with(., '/dev/')]", 'sound device'],
  ["//hostdev[@type='misc']/source/char[starts-with(normalize-space(), '/dev/')]", 'character device'],
];

// Configuration that changes nothing for what is in use (in-use.md, section 1.1) and libvirt's own run-time files.
const CONFIGURATION: readonly Exclusion[] = [
  ['//source/config/@file', 'configuration of the Ceph client'],
  ['/domstatus/monitor', "socket of libvirt's own"],
  ['/domstatus/libDir', "run-time directory of libvirt's own"],
  ['/domstatus/channelTargetDir', "run-time directory of libvirt's own"],
  ['/domstatus/memoryBackingDir', "run-time directory of libvirt's own"],
  ['//privateData/qom/@name', 'name of an object inside QEMU'],
];

const THEMSELVES: readonly Exclusion[] = [
  ['/volume/name', 'is the volume'],
  ['/volume/key', 'is the volume'],
  ['/volume/target/path', 'is the volume'],
  ['/pool/target/path', 'is the pool'],
  ["/pool[@type='netfs' or @type='gluster']/source/dir/@path", 'directory on the server'],
];

const EXCLUSIONS: readonly Exclusion[] = [
  ...LABELS,
  ...GUEST_SIDE,
  ...SOCKETS,
  ...CHARACTER_DEVICES,
  ...DEVICE_NODES,
  ...CONFIGURATION,
  ...THEMSELVES,
];

/** Places that never hold a reference although what stands there may look like one. */
export const EXCLUSION_RULES: readonly Rule[] = EXCLUSIONS.map(([xpath, note]) => ({
  xpath,
  content: 'nothing',
  since: 'early',
  note,
}));
