import { decodeBlockDevice, type ImageName } from '../../core/backing-string.ts';
import { readImageName } from './image-name.ts';

/** Protocols of QEMU whose images are not named by a path alone. */
const NETWORK_DRIVERS: ReadonlySet<string> = new Set(
  'nbd rbd iscsi gluster sheepdog ssh nfs vxhs archipelago vitastor blkio curl http https ftp ftps tftp'.split(' '),
);

/** Options of QEMU whose argument is text for the guest or a label, never a file of the host. */
const GUEST_OPTIONS: ReadonlySet<string> = new Set(['append', 'name', 'uuid']);

/** Options of QEMU whose argument is a file name, relative ones too. */
const FILE_OPTIONS: ReadonlySet<string> = new Set(
  'cdrom hda hdb hdc hdd fda fdb mtdblock pflash sd kernel initrd dtb bios shim mem-path readconfig'.split(' '),
);

/** Keys whose value is a label. */
const LABEL_KEYS: ReadonlySet<string> = new Set(['id', 'name', 'node-name', 'serial', 'mount_tag']);

/** Options whose `path=` is a directory that the guest sees. */
const SHARE_OPTIONS: ReadonlySet<string> = new Set(['fsdev', 'virtfs']);

/** A part of an argument between commas. */
export interface Item {
  readonly key: string | undefined;
  readonly value: string;
}

/**
 * Reads one argument of a hypervisor's command line; `previous` is the one before it, which may be its option. What has
 * the looks of a path but cannot be decoded with certainty brings the whole argument as text.
 */
export function readArgument(argument: string, previous: string | undefined): readonly ImageName[] {
  const option = /^--?([\w-]+)$/.exec(previous ?? '')?.[1] ?? '';
  if (GUEST_OPTIONS.has(option)) return [];
  if (argument.trimStart().startsWith('{')) return withDoubt(decodeBlockDevice(argument), argument);
  if (FILE_OPTIONS.has(option)) return readImageName(argument);
  return readItems(splitItems(argument), option, argument);
}

function readItems(items: readonly Item[], option: string, whole: string): readonly ImageName[] {
  const found = items.flatMap(({ key, value }) => (key === undefined ? readBare(value) : readPair(key, value, option)));
  return withDoubt(items.some(mayGoOn) ? [...found, { kind: 'text', value: whole }] : found, whole);
}

/** What was decoded; and the whole argument, if not all of it was decoded with certainty. */
function withDoubt(found: readonly ImageName[] | undefined, whole: string): readonly ImageName[] {
  const names = found?.filter(({ kind }) => kind !== 'text') ?? [];
  return names.length === found?.length ? names : [...names, { kind: 'text', value: whole }];
}

/** Only QEMU doubles commas: in other drivers' arguments a path may go on after one. */
function mayGoOn({ key, value }: Item, index: number, items: readonly Item[]): boolean {
  const next = items[index + 1];
  return key === undefined && value.startsWith('/') && next !== undefined && next.key === undefined;
}

/** Splits an argument at commas; a doubled comma stands for one inside an item (QEMU, util/qemu-option.c, `get_opt_value`). */
export function splitItems(argument: string): readonly Item[] {
  const items = (argument.match(/(?:[^,]|,,)+/g) ?? []).map((item) => {
    const [, key, value = item] = /^([\w.-]+)=(.*)$/s.exec(item) ?? [];
    return { key, value: value.replaceAll(',,', ',') };
  });
  return items[0]?.value === 'socket' ? items.filter(({ key }) => key !== 'path') : items;
}

function readBare(value: string): readonly ImageName[] {
  if (value.startsWith('unix:')) return [];
  if (value.startsWith('/')) {
    const path: ImageName = { kind: 'path', value };
    return value.includes(':/') ? [path, { kind: 'text', value }] : [path];
  }
  return looksLikePath(value) ? [{ kind: 'text', value }] : [];
}

function readPair(key: string, value: string, option: string): readonly ImageName[] {
  if (LABEL_KEYS.has(key)) return [];
  if (/(?:^|\.)driver$/.test(key)) return isNetworkDriver(value) ? [{ kind: 'text', value }] : [];
  if (key === 'path' && SHARE_OPTIONS.has(option)) return [{ kind: 'dir', value }];
  // A block device may name another by its node name.
  if (key === 'file' && option === 'blockdev' && !value.includes('/')) return [];
  if (/^(?:file|(?:.*\.)?filename)$/.test(key)) return readImageName(value);
  return readBare(value);
}

/** Whether a driver of QEMU reaches its image by other means than a path on the host. */
function isNetworkDriver(driver: string): boolean {
  return NETWORK_DRIVERS.has(driver.split('+')[0] ?? '');
}

function looksLikePath(value: string): boolean {
  return value.includes('/') || isNetworkDriver(/^([a-z0-9+]+):/.exec(value)?.[1] ?? '');
}
