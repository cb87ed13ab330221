import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { TrustError, UsageError } from '../errors.ts';
import { isSafePath } from './safe-path.ts';

/** Where a simplestreams source is: the directory that holds `streams/`, and the document to begin with. */
export interface SourceLocation {
  /** Ends in `/`; may be `file:`. Keeps credentials, so it goes into requests only. */
  readonly base: URL;
  /** Relative to the base, as a document would name it. */
  readonly path: string;
  /** The base without credentials: for messages and records. */
  readonly display: string;
}

const DEFAULT_PATH = 'streams/v1/index.sjson';
const DOCUMENT_IN_PATH = /^(.*?\/)(streams\/v1\/.*\.s?json)$/s;
const ADDRESS_HINT = 'use https://, http://, file:/// or a path';
const ABSOLUTE_URL = /^[a-z][a-z0-9+.-]*:\/\//i;

/**
 * Splits what the user wrote into base and first document, as the reference's `path_from_mirror_url` does: a URL that
 * names a document below `streams/v1/` is split there, any other is a base. Without a scheme it is a path on this
 * host, relative to `cwd`.
 *
 * @throws UsageError for other schemes, query strings, fragments and paths that could leave the base.
 */
export function resolveSource(url: string, path: string | undefined, cwd: string): SourceLocation {
  if (url.trim() === '') throw new UsageError('the address of the source is empty', { hint: ADDRESS_HINT });
  const whole = ABSOLUTE_URL.test(url) ? parseAddress(url) : localAddress(url, cwd);
  const [, before = '', document] = DOCUMENT_IN_PATH.exec(whole.path) ?? [];
  if (document !== undefined && path !== undefined) {
    throw new UsageError(`the source '${displayUrl(whole.root)}' already names a document`, {
      hint: 'give either the address of a document or an address and --path',
    });
  }
  const base = atDirectory(whole, document === undefined ? whole.path : before);
  return { base, path: checkedPath(path ?? document ?? DEFAULT_PATH), display: displayUrl(base) };
}

/**
 * The address of a document or item: base and path joined as strings, so that a colon in the first segment is not
 * taken for a scheme.
 *
 * @throws TrustError when the result would not be below the base.
 */
export function resolveItemUrl(base: URL, path: string): URL {
  const relative = base.protocol === 'file:' ? encodeFilePath(path) : path;
  const url = isSafePath(path) ? new URL(base.href + relative) : undefined;
  if (url === undefined || url.href.length <= base.href.length || !url.href.startsWith(base.href)) {
    throw new TrustError(`the path ${JSON.stringify(path)} leaves the source '${displayUrl(base)}'`);
  }
  return url;
}

/** A URL as it may be shown and stored: without credentials. */
export function displayUrl(url: URL): string {
  if (url.username === '' && url.password === '') return url.href;
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return shown.href;
}

/** A user's address taken apart. For `file:` the path is a plain one, otherwise it is percent-encoded. */
interface Address {
  readonly root: URL;
  readonly path: string;
}

function parseAddress(text: string): Address {
  // The text is not repeated: it may hold a password that no parser could find.
  if (!URL.canParse(text)) throw new UsageError('the address of the source is not a valid URL', { hint: ADDRESS_HINT });
  const url = new URL(text);
  const shown = displayUrl(url);
  if (url.search !== '' || url.hash !== '') {
    const plain = shown.slice(0, shown.search(/[?#]/));
    throw new UsageError(`the source '${plain}' has a query string or a fragment`, {
      hint: 'item addresses are made by appending to the source, so it must end in a plain path',
    });
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') return { root: url, path: url.pathname };
  if (url.protocol === 'file:' && url.hostname === '') return { root: url, path: filePath(url) };
  throw new UsageError(`the source '${shown}' is of a kind that cannot be read`, {
    hint: ADDRESS_HINT,
  });
}

function filePath(url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new UsageError(`the source '${url.href}' is not the address of a file`, { cause });
  }
}

function localAddress(path: string, cwd: string): Address {
  const absolute = resolve(cwd, path);
  return { root: pathToFileURL(absolute), path: absolute };
}

function atDirectory({ root }: Address, directory: string): URL {
  const slashed = directory.endsWith('/') ? directory : `${directory}/`;
  if (root.protocol === 'file:') return pathToFileURL(slashed);
  const base = new URL(root);
  base.pathname = slashed;
  return base;
}

function checkedPath(path: string): string {
  if (isSafePath(path)) return path;
  throw new UsageError(`'${path}' is not a path below the source`, {
    hint: 'name a document relative to the source, such as streams/v1/index.sjson',
  });
}

/** The bytes of a path on this host mean themselves: `%` is a character of the name, not the start of an escape. */
function encodeFilePath(path: string): string {
  return path.replaceAll('%', '%25');
}
