import { UsageError } from '../errors.ts';
import type { Identity } from './identity.ts';

/** No simplestreams product of a publisher begins so. */
const PREFIX = 'local:';

/** Short enough that the name of its volume, in base64, is one. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$/;

/** @throws UsageError for a name that an image of the administrator cannot have. */
export function checkLocalName(name: string): void {
  if (NAME.test(name)) return;
  throw new UsageError(`'${name}' cannot be the name of an image`, {
    hint: 'a name has at most 100 letters, digits and . _ + -, and begins with a letter or a digit',
  });
}

/**
 * The identity of an image that an administrator brings in: product `local:NAME`, and the time as its version, in UTC and
 * in seconds, such as `20261125T201500Z`.
 *
 * @param isoTime when it comes, as `Date.toISOString` writes it.
 * @throws UsageError as `checkLocalName`.
 */
export function localIdentity(name: string, isoTime: string): Identity {
  checkLocalName(name);
  return { product: PREFIX + name, version: isoTime.replaceAll(/[-:]|\.\d+/g, '') };
}

/** What the version of a volume ends with in which an image lies only until it is converted. */
const STAGING = '.staging';

/** The identity under which an image lies until it is converted. It never has a record, and is garbage after a crash. */
export function stagingIdentity({ product, version }: Identity): Identity {
  return { product, version: version + STAGING };
}

/**
 * Whether a volume only holds what is being converted. No image of a person can be called so: its version is a time that
 * poolkeeper wrote.
 */
export function isStaging(identity: Identity): boolean {
  return (
    isLocalImage(identity) &&
    /^\d{8}T\d{6}Z$/.test(identity.version.slice(0, -STAGING.length)) &&
    identity.version.endsWith(STAGING)
  );
}

/** Whether no source has this image, so that it cannot be fetched again. */
export function isLocalImage({ product }: Pick<Identity, 'product'>): boolean {
  return product.startsWith(PREFIX);
}

/** The name that the administrator gave; `undefined` for an image of a source. */
export function localName(identity: Identity): string | undefined {
  return isLocalImage(identity) ? identity.product.slice(PREFIX.length) : undefined;
}
