import { type BlockNode, parseBlockNodes } from './backing-json.ts';
import type { Reference } from './reference.ts';

/** What the name of an image may mean: a reference without its evidence. */
export type ImageName =
  | { readonly kind: 'path' | 'text'; readonly value: string }
  | { readonly kind: 'dir'; readonly value: string; readonly isFat?: true }
  | { readonly kind: 'network'; readonly value: string; readonly protocol: string };

const MAX_NESTED_NAMES = 16;

/** Twice what any system call takes; no decoding is worth its time beyond. */
const MAX_NAME_LENGTH = 8192;

const DISK_PROTOCOLS = new Set(['file', 'host_device', 'host_cdrom']);
const URI_PROTOCOLS = new Set([
  'http',
  'https',
  'ftp',
  'ftps',
  'tftp',
  'ssh',
  'nfs',
  'gluster',
  'iscsi',
  'iser',
  'vxhs',
]);

/** Options that hold another node; a word in its place is the name of one, and names no image. */
const CHILD_OPTIONS = new Set(['file', 'backing', 'data-file', 'image']);

/** Options whose value names no image, or is a secret. */
const SILENT_OPTIONS = new RegExp(
  `^(?:${[
    'driver|type|host|port|portal|transport|node-name|user|username|cookie|.*secret|.*key',
    'aio|locking|discard|detect-zeroes|direct|no-flush|read-only|auto-read-only|offset|size',
  ].join('|')})$`,
  'u',
);

/**
 * Decodes the name of a backing store as QEMU and libvirt understand it: a path, a relative path, `file:`, `json:{…}`,
 * or a name on a network protocol. A relative name is joined to the directory of the overlay as a string; without a
 * directory, and for everything that cannot be decided, the result holds a `text` reference. It is empty only for an
 * empty name. Where QEMU and libvirt may disagree, both readings are returned. Credentials are left out.
 *
 * Source: QEMU's `path_has_protocol`, `path_combine` and the drivers' `bdrv_parse_filename`; libvirt's
 * `virStorageSourceNewFromBacking`.
 */
export function decodeBackingString(text: string, overlayDirectory: string | undefined, evidence: string): Reference[] {
  return decodeImageName(text, overlayDirectory).map((name) => ({ ...name, evidence }));
}

/** Decodes like `decodeBackingString`, for names that do not stand in a header. */
export function decodeImageName(text: string, directory: string | undefined): ImageName[] {
  return distinct(decode(text, directory, 0));
}

/**
 * Decodes a block device in QEMU's JSON, as on its command line. Unlike in a backing string, it is nothing unusual that
 * no image is named at all. `undefined` when it is not an object, or nested deeper than anything QEMU would open.
 */
export function decodeBlockDevice(json: string): ImageName[] | undefined {
  const nodes = parseBlockNodes(`json:${json}`);
  return nodes && distinct(nodes.flatMap((node) => decodeNode(node, 0)));
}

function distinct(names: readonly ImageName[]): ImageName[] {
  return [...new Map(names.map((name) => [JSON.stringify(name), name])).values()];
}

function decode(text: string, directory: string | undefined, depth: number): ImageName[] {
  if (text === '') return [];
  if (text.length > MAX_NAME_LENGTH) return [{ kind: 'text', value: text }];
  if (depth > MAX_NESTED_NAMES) return [asText(text)];
  const [, protocol] = /^([^:/]*):/u.exec(text) ?? [];
  if (protocol === undefined) return [asPath(text, directory)];
  return decodeProtocol(protocol, text, depth) ?? [asPath(text, directory), asText(text)];
}

/** `undefined` when there is no such protocol: libvirt then takes the name as a path, QEMU refuses it. */
function decodeProtocol(protocol: string, text: string, depth: number): ImageName[] | undefined {
  const rest = text.slice(protocol.length + 1);
  const family = protocol.replace(/\+.*/u, '');
  if (protocol === 'json') return decodeJson(text, depth);
  if (DISK_PROTOCOLS.has(protocol)) return asHostFile(rest, text);
  if (protocol === 'fat') return [asDirectory(rest)];
  if (protocol === 'blkdebug' || protocol === 'blkverify') return decodeFilter(rest, depth);
  if (protocol === 'rbd') return [asNetwork('rbd', rbdName(rest)), asText(text)];
  if (family === 'nbd') return [asNetwork('nbd', nbdExport(rest)), asText(text)];
  if (family === 'sheepdog') return [asNetwork('sheepdog', sheepdogName(rest)), asText(text)];
  if (URI_PROTOCOLS.has(family)) return [asNetwork(family, uriPath(rest)), asText(text)];
  return undefined;
}

/** `blkdebug:CONFIG:IMAGE` and `blkverify:RAW:IMAGE`: both names are opened from the process's own directory. */
function decodeFilter(rest: string, depth: number): ImageName[] {
  const split = rest.indexOf(':');
  if (split < 0) return [asText(rest)];
  return [rest.slice(0, split), rest.slice(split + 1)].flatMap((name) => decode(name, undefined, depth + 1));
}

function decodeJson(text: string, depth: number): ImageName[] {
  const found = parseBlockNodes(text)?.flatMap((node) => decodeNode(node, depth)) ?? [];
  return found.length > 0 ? found : [asText(text)];
}

function decodeNode(node: BlockNode, depth: number): ImageName[] {
  if (node.get('type') === 'unix' && node.has('path')) return [];
  const driver = node.get('driver') ?? '';
  const name = networkName(driver, node);
  if (name !== undefined) return name === '' ? [asNetwork(driver, name)] : [asNetwork(driver, name), asText(name)];
  return [...node].flatMap(([option, value]) => {
    if (SILENT_OPTIONS.test(option) || isNodeName(option, value) || isNumber(option, value)) return [];
    return option === 'dir' ? [asDirectory(value)] : decode(value, undefined, depth + 1);
  });
}

function isNodeName(option: string, value: string): boolean {
  return CHILD_OPTIONS.has(option) && !/[:/]/u.test(value);
}

/** Thresholds, timeouts and the like. */
function isNumber(option: string, value: string): boolean {
  return option !== 'filename' && /^\d+$/u.test(value);
}

/** The name as libvirt's `<source protocol= name=>` writes it; `undefined` when the node is no network node. */
function networkName(driver: string, node: BlockNode): string | undefined {
  switch (driver) {
    case 'rbd':
      return joined(node, ['pool', 'namespace', 'image'], 'image');
    case 'gluster':
      return joined(node, ['volume', 'path'], 'volume');
    case 'iscsi':
      return joined(new Map([['lun', '0'], ...node]), ['target', 'lun'], 'target');
    case 'nbd':
      return node.get('export') ?? '';
    case 'sheepdog':
      return node.get('vdi');
    case 'ssh':
    case 'nfs':
      return node.get('path')?.replace(/^\/+/u, '');
    default:
      return undefined;
  }
}

function joined(node: BlockNode, options: readonly string[], required: string): string | undefined {
  if (!node.has(required)) return undefined;
  const parts = options.map((option) => node.get(option)?.replace(/^\/+/u, '') ?? '');
  return parts.filter((part) => part !== '').join('/');
}

/** `pool/image[@snapshot][:option=value…]`, where a backslash takes the meaning from the next character. */
function rbdName(rest: string): string {
  const [name = ''] = /^(?:[^:@\\]|\\.)*/su.exec(rest) ?? [];
  return name.replaceAll(/\\(.)/gsu, '$1');
}

/** `host:port:exportname=NAME`, `unix:SOCKET:exportname=NAME`, or a URI. */
function nbdExport(rest: string): string {
  if (rest.startsWith('//')) return uriPath(rest);
  return /:exportname=(.*)$/su.exec(rest)?.[1] ?? '';
}

/** `vdi[:snapshot]`, `host:port:vdi[:snapshot]`, or a URI. */
function sheepdogName(rest: string): string {
  if (rest.startsWith('//')) return uriPath(rest);
  const parts = rest.split(':');
  return (parts.length > 2 ? parts[2] : parts[0]) ?? '';
}

function uriPath(rest: string): string {
  const [, path = ''] = /^(?:\/\/[^/?#]*)?\/*([^?#]*)/u.exec(rest) ?? [];
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function asPath(name: string, directory: string | undefined): ImageName {
  if (name.startsWith('/')) return { kind: 'path', value: name };
  if (directory === undefined) return asText(name);
  return { kind: 'path', value: directory.endsWith('/') ? directory + name : `${directory}/${name}` };
}

/**
 * `file:NAME`: a relative one starts from the process's own directory, which nobody knows. After `file://HOST/` the host
 * is a directory for QEMU, and nothing that libvirt could open.
 */
function asHostFile(name: string, text: string): ImageName[] {
  if (!name.startsWith('/')) return [asText(text)];
  const path = { kind: 'path', value: name.replace(/^\/+/u, '/') } as const;
  return /^\/\/[^/]/u.test(name) ? [path, asText(text)] : [path];
}

/** The directory of `fat:[floppy:][12:|16:|32:][rw:]DIRECTORY`. */
function asDirectory(name: string): ImageName {
  const directory = name.slice(name.lastIndexOf(':') + 1);
  return directory.startsWith('/') ? { kind: 'dir', value: directory, isFat: true } : asText(name);
}

function asNetwork(protocol: string, value: string): ImageName {
  return { kind: 'network', protocol, value };
}

function asText(value: string): ImageName {
  return { kind: 'text', value: withoutCredentials(value) };
}

/** User names and passwords before a host, the query of a web address, and the key of an rbd name do not help matching. */
function withoutCredentials(text: string): string {
  return text
    .replaceAll(/:\/\/[^/?#\s]*@/gu, '://')
    .replaceAll(/((?:https?|ftps?):\/\/[^?\s"']*)\?[^\s"']*/giu, '$1')
    .replaceAll(/:key=[^:]*/gu, '');
}
