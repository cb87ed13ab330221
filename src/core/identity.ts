import { UsageError } from '../errors.ts';
import { compareVersions } from './version.ts';

/** What a managed volume holds: one version of one simplestreams product. */
export interface Identity {
  readonly product: string;
  readonly version: string;
}

const ENCODED_PREFIX = 'x-uvt-b64-';
const PLAIN_PREFIX = 'x-uvt-plain-';

/** What Python or JavaScript would split at, what no terminal or file name should see, and what UTF-8 cannot carry. */
const UNSAFE = /[\s\p{Cc}\p{Cs}]/u;

/** Linux's longest file name, less the ending of a record's. */
const LONGEST_NAME = 250;

/**
 * The name of the volume that holds an identity, exactly as uvtool names it: base64 in pools of type `dir`, plain
 * in all others. For example `x-uvt-b64-cH5-fiAx` for product `p~~~`, version `1`.
 *
 * @throws UsageError when the identity cannot be told apart after encoding (white space, an empty part) or
 * makes no file name.
 */
export function encodeVolumeName(identity: Identity, poolType: string): string {
  if (!isNameable(identity, poolType)) throw unnameable(identity);
  return poolType === 'dir' ? base64Name(identity) : plainName(identity);
}

/** The name of the metadata file of an identity: always the base64 form, whatever the pool's type. */
export function encodeMetadataName(identity: Identity): string {
  return encodeVolumeName(identity, 'dir');
}

/** Whether `encodeVolumeName` has a name for an identity; its metadata file has to have one in any case. */
export function isNameable(identity: Identity, poolType: string): boolean {
  if (!isEncodable(identity) || base64Name(identity).length > LONGEST_NAME) return false;
  return poolType === 'dir' || decodePlainName(plainName(identity))?.product === identity.product;
}

/** The identity in a volume's name; `undefined` for every name that is not exactly one of uvtool's. */
export function decodeVolumeName(name: string): Identity | undefined {
  return decodeMetadataName(name) ?? decodePlainName(name);
}

/** The identity in a metadata file's name; `undefined` for every name that is not exactly one of uvtool's. */
export function decodeMetadataName(name: string): Identity | undefined {
  if (!name.startsWith(ENCODED_PREFIX)) return undefined;
  const [product = '', version = '', ...rest] = decodeBase64(name.slice(ENCODED_PREFIX.length))?.split(' ') ?? [];
  const identity = { product, version };
  return rest.length === 0 && isEncodable(identity) && base64Name(identity) === name ? identity : undefined;
}

/** Orders images by product, and the versions of one product as simplestreams does. */
export function compareIdentities(a: Identity, b: Identity): number {
  if (a.product !== b.product) return a.product < b.product ? -1 : 1;
  return compareVersions(a.version, b.version);
}

/** One text for one identity, for use as a key and in messages. */
export function identityText({ product, version }: Identity): string {
  return `${product} ${version}`;
}

function plainName({ product, version }: Identity): string {
  return `${PLAIN_PREFIX}${product}__${version}`;
}

function isEncodable({ product, version }: Identity): boolean {
  const isShort = product.length + version.length <= LONGEST_NAME;
  return isShort && product !== '' && version !== '' && !UNSAFE.test(product + version);
}

function unnameable({ product, version }: Identity): UsageError {
  return new UsageError(`cannot name a volume after product '${product}', version '${version}'`);
}

function base64Name({ product, version }: Identity): string {
  const bytes = new TextEncoder().encode(`${product} ${version}`);
  const base64 = btoa(String.fromCharCode(...bytes));
  return ENCODED_PREFIX + base64.replaceAll('+', '-').replaceAll('/', '_');
}

function decodeBase64(base64: string): string | undefined {
  try {
    const bytes = Uint8Array.from(atob(base64.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function decodePlainName(name: string): Identity | undefined {
  if (!name.startsWith(PLAIN_PREFIX)) return undefined;
  const rest = name.slice(PLAIN_PREFIX.length);
  const split = rest.lastIndexOf('__');
  if (split === -1 || rest.includes('/')) return undefined;
  const identity = { product: rest.slice(0, split), version: rest.slice(split + 2) };
  return isEncodable(identity) ? identity : undefined;
}
