import { UsageError } from '../errors.ts';

/** What a managed volume holds: one version of one simplestreams product. */
export interface Identity {
  readonly product: string;
  readonly version: string;
}

const ENCODED_PREFIX = 'x-uvt-b64-';
const PLAIN_PREFIX = 'x-uvt-plain-';

/**
 * The name of the volume that holds an identity, exactly as uvtool names it: base64 in pools of type `dir`, plain
 * in all others. For example `x-uvt-b64-cH5-fiAx` for product `p~~~`, version `1`.
 *
 * @throws UsageError when the identity cannot be told apart after encoding (white space, an empty part).
 */
export function encodeVolumeName(identity: Identity, poolType: string): string {
  return poolType === 'dir' ? encodeMetadataName(identity) : encodePlainName(identity);
}

/** The name of the metadata file of an identity: always the base64 form, whatever the pool's type. */
export function encodeMetadataName({ product, version }: Identity): string {
  assertEncodable(product, version);
  const bytes = new TextEncoder().encode(`${product} ${version}`);
  const base64 = btoa(String.fromCharCode(...bytes));
  return ENCODED_PREFIX + base64.replaceAll('+', '-').replaceAll('/', '_');
}

/** The identity in a volume's or metadata file's name; `undefined` for every name that is not exactly one of uvtool's. */
export function decodeVolumeName(name: string): Identity | undefined {
  if (name.startsWith(ENCODED_PREFIX)) return decodeBase64Name(name);
  if (name.startsWith(PLAIN_PREFIX)) return decodePlainName(name);
  return undefined;
}

/** One text for one identity, for use as a key and in messages. */
export function identityText({ product, version }: Identity): string {
  return `${product} ${version}`;
}

function encodePlainName({ product, version }: Identity): string {
  assertEncodable(product, version);
  if (version.includes('__') || version.startsWith('_') || /[/\0]/.test(product + version)) {
    throw new UsageError(`cannot name a volume after product '${product}', version '${version}'`);
  }
  return `${PLAIN_PREFIX}${product}__${version}`;
}

function assertEncodable(product: string, version: string): void {
  if (product === '' || version === '' || /\s/.test(product + version)) {
    throw new UsageError(`cannot name a volume after product '${product}', version '${version}'`);
  }
}

function decodeBase64Name(name: string): Identity | undefined {
  const text = decodeBase64(name.slice(ENCODED_PREFIX.length));
  const match = text === undefined ? null : /^(\S+) (\S+)$/u.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const identity = { product: match[1], version: match[2] };
  return encodeMetadataName(identity) === name ? identity : undefined;
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
  const rest = name.slice(PLAIN_PREFIX.length);
  const split = rest.lastIndexOf('__');
  if (split <= 0 || split + 2 >= rest.length || /\s/.test(rest)) return undefined;
  return { product: rest.slice(0, split), version: rest.slice(split + 2) };
}
