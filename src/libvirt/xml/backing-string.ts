/** What a piece of free text names: decoded with certainty, or the text itself for a search. */
export interface Named {
  readonly kind: 'path' | 'dir' | 'text';
  readonly value: string;
}

/** Protocols of QEMU whose images are not named by a path alone. */
const NETWORK_DRIVERS: ReadonlySet<string> = new Set(
  'nbd rbd iscsi gluster sheepdog ssh nfs vxhs archipelago vitastor blkio curl http https ftp ftps tftp'.split(' '),
);

const FAT_OPTIONS = /^(?:(?:floppy|12|16|32|rw):)*/;

/** Whether a driver of QEMU reaches its image by other means than a path on the host. */
export function isNetworkDriver(driver: string): boolean {
  return NETWORK_DRIVERS.has(driver.split('+')[0] ?? '');
}

/**
 * Decodes the backing string of an image header, or a file name as QEMU takes it on its command line (block.c,
 * `path_has_protocol` and `bdrv_fill_options`). What cannot be decoded with certainty comes back as text, as it stands.
 */
export function decodeBackingString(text: string): readonly Named[] {
  const colon = text.indexOf(':');
  if (!hasProtocol(text)) return [{ kind: 'path', value: text }];
  const rest = text.slice(colon + 1);
  switch (text.slice(0, colon)) {
    case 'json': {
      const names = decodeJson(rest, text);
      return names.length > 0 ? names : [{ kind: 'text', value: text }];
    }
    case 'file':
      return /^\/\/[^/]/.test(rest) ? [{ kind: 'text', value: text }] : [{ kind: 'path', value: oneSlash(rest) }];
    case 'host_device':
    case 'host_cdrom':
      return [{ kind: 'path', value: oneSlash(rest) }];
    case 'fat':
      return [{ kind: 'dir', value: rest.replace(FAT_OPTIONS, '') }];
    default:
      return [{ kind: 'text', value: text }];
  }
}

/**
 * Decodes options of a block device, written as JSON. Gives the absolute file names in them, at any depth, and `whole`
 * as text if they are not all there is: a network, a relative name (QEMU takes it from its own working directory), or
 * something with a slash whose meaning is not known.
 */
export function decodeJson(json: string, whole: string): readonly Named[] {
  const names: Named[] = [];
  let certain = true;
  for (const value of jsonStrings(json)) {
    if (value === undefined || isUndecided(value)) certain = false;
    else if (value.text.startsWith('/')) names.push({ kind: 'path', value: value.text });
  }
  return certain ? names : [...names, { kind: 'text', value: whole }];
}

/** A colon before the first slash makes a protocol. `[datastore] …` is a path of VMware. */
function hasProtocol(text: string): boolean {
  return /^[^/:[]*:/.test(text);
}

function oneSlash(path: string): string {
  return path.replace(/^\/+/, '/');
}

interface JsonString {
  readonly key: string;
  readonly text: string;
}

function isUndecided({ key, text }: JsonString): boolean {
  if (/(?:^|\.)driver$/.test(key)) return isNetworkDriver(text);
  if (/(?:^|\.)filename$/.test(key)) return !text.startsWith('/');
  return text.includes('/') && !text.startsWith('/');
}

/** Every string in a JSON text, with the key it stands under, and `undefined` if the text is not JSON. */
function* jsonStrings(json: string): Generator<JsonString | undefined> {
  const waiting: { key: string; value: unknown }[] = [];
  try {
    waiting.push({ key: '', value: JSON.parse(json) });
  } catch {
    yield undefined;
  }
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { key, value } = next;
    if (typeof value === 'string') yield { key, text: value };
    if (typeof value !== 'object' || value === null || isUnixSocket(value)) continue;
    const isArray = Array.isArray(value);
    for (const [name, part] of Object.entries(value).reverse())
      waiting.push({ key: isArray ? key : name, value: part });
  }
}

function isUnixSocket(value: object): boolean {
  return 'type' in value && value.type === 'unix' && 'path' in value;
}
