import type { Rule } from './rule.ts';

const OS: readonly Rule[] = [
  { xpath: '//os/kernel', content: 'path', since: 'early', note: 'direct kernel boot; blanks around it belong to it' },
  { xpath: '//os/initrd', content: 'path', since: 'early', note: 'direct kernel boot; blanks around it belong to it' },
  { xpath: '//os/dtb', content: 'path', since: '1.0.4', note: 'device tree' },
  { xpath: '//os/shim', content: 'path', since: '11.2.0', note: 'direct kernel boot' },
  { xpath: '//os/loader', content: 'path', since: '0.9.12', note: 'firmware' },
  { xpath: '//os/nvram[not(@type)]', content: 'path', since: '1.2.8', note: 'firmware variables, as text' },
  { xpath: '//os/nvram/@template', content: 'path', since: '1.2.8', note: 'the variables are made anew from it' },
  { xpath: '//os/varstore/@path', content: 'path', since: '12.1.0', note: 'firmware variables' },
  { xpath: '//os/varstore/@template', content: 'path', since: '12.1.0', note: 'the variables are made anew from it' },
  { xpath: '//os/acpi/table', content: 'path', since: '1.3.5', note: 'slic, and whatever types come' },
  { xpath: "//sysinfo[@type='fwcfg']/entry/@file", content: 'path', since: '6.5.0', note: 'fw_cfg blob' },
];

const DEVICES: readonly Rule[] = [
  { xpath: '//devices/*/rom/@file', content: 'path', since: '0.9.10', note: 'interface and hostdev' },
  { xpath: "//filesystem[@type='file']/source/@file", content: 'path', since: '0.9.5', note: 'LXC' },
  { xpath: "//filesystem[@type='block']/source/@dev", content: 'path', since: '0.9.5', note: 'LXC' },
  { xpath: "//filesystem[@type='mount']/source/@dir", content: 'dir', since: '0.8.5', note: '9p, virtiofs' },
  { xpath: '//filesystem[not(@type)]/source/@dir', content: 'dir', since: '0.8.5', note: 'mount is the default' },
  { xpath: "//filesystem[@type='volume']/source[@pool]/@volume", content: 'volume', since: 'early', note: 'parsed' },
  { xpath: '//memory/source/path', content: 'path', since: '3.2.0', note: 'nvdimm; virtio-pmem since 7.1.0' },
  { xpath: "//hostdev[@type='storage']/source/block", content: 'path', since: '1.0.1', note: 'LXC' },
  { xpath: '//hostdev/source[@protocol]/@name', content: 'network', since: '1.2.8', note: 'SCSI over iSCSI' },
  { xpath: '//lease/target/@path', content: 'path', since: '0.10.2', note: 'lock manager' },
  { xpath: "//audio[@type='file']/@path", content: 'path', since: '7.2.0', note: 'may be relative' },
  { xpath: "//tpm/backend/source[@type='file']/@path", content: 'path', since: '10.10.0', note: 'state of swtpm' },
  { xpath: "//tpm/backend/source[@type='dir']/@path", content: 'dir', since: '10.10.0', note: 'state of swtpm' },
  { xpath: '//pstore/path', content: 'path', since: '10.6.0', note: 'persistent store of the guest kernel' },
];

/** The elements that describe a character device: a type, and a source of that type. */
export const CHARACTER_DEVICE_ELEMENTS = [
  'serial',
  'parallel',
  'console',
  'channel',
  'redirdev',
  'smartcard',
  'backend',
];

const CHARACTER_DEVICE_RULES: readonly Rule[] = CHARACTER_DEVICE_ELEMENTS.flatMap((element) => [
  { xpath: `//${element}[@type='file']/source/@path`, content: 'path', since: 'early', note: 'output to a file' },
  { xpath: `//${element}/log/@file`, content: 'path', since: '1.3.3', note: 'copy of the output' },
]);

// Seldom volumes, but a volume named here is needed, so they count. What cannot be a volume is in the exclusions.
const HOST_FILES: readonly Rule[] = [
  { xpath: '//devices/emulator', content: 'path', since: 'early', note: 'program' },
  { xpath: '//bootloader', content: 'path', since: 'early', note: 'program, Xen and bhyve' },
  { xpath: '//smartcard/database', content: 'path', since: '0.8.8', note: 'certificates' },
  { xpath: '//interface/script/@path', content: 'path', since: 'early', note: 'program' },
  { xpath: '//interface/downscript/@path', content: 'path', since: '6.9.0', note: 'program' },
  { xpath: '//interface/backend/@logFile', content: 'path', since: '9.0.0', note: 'passt' },
  { xpath: '//filesystem/binary/@path', content: 'path', since: '6.2.0', note: 'virtiofsd' },
  { xpath: '//graphics/@xauth', content: 'path', since: 'early', note: 'sdl' },
  { xpath: '//blkiotune/device/path', content: 'path', since: '0.9.8', note: 'the disk that is tuned' },
];

const FREE_TEXT: readonly Rule[] = [
  {
    xpath: "//*[local-name()='commandline']/*[local-name()='arg']/@value",
    content: 'argument',
    since: '0.8.3',
    note: 'qemu:, bhyve:, xen:',
  },
  {
    xpath: "//*[local-name()='commandline']/*[local-name()='env']/@value",
    content: 'argument',
    since: '0.8.3',
    note: 'qemu:, bhyve:, xen:',
  },
  {
    xpath: "//*[local-name()='override']//*[local-name()='property']/@value",
    content: 'argument',
    since: '8.2.0',
    note: 'qemu:',
  },
];

/** Everything below a `domain` element, except disk sources, that names host storage (in-use.md, section 1.2). */
export const DOMAIN_RULES: readonly Rule[] = [
  ...OS,
  ...DEVICES,
  ...CHARACTER_DEVICE_RULES,
  ...HOST_FILES,
  ...FREE_TEXT,
];
