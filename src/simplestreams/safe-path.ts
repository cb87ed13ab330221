import { TrustError } from '../errors.ts';

const FORBIDDEN_SEGMENTS: ReadonlySet<string> = new Set(['', '.', '..', '...']);

/** Control characters, and whatever a URL parser or a server could read as the end of the path or as another separator. */
// oxlint-disable-next-line no-control-regex -- control characters are what it is there to find
const FORBIDDEN_CHARACTERS = /[\u0000-\u001f\u007f\\?#]/;

/** Percent-encoded dots, slashes, backslashes and control characters: a server would decode them after our check. */
const FORBIDDEN_ENCODINGS = /%(?:2e|2f|5c|7f|[01][0-9a-f])/i;

/**
 * Whether a path of a simplestreams document stays below the base whoever resolves it. Stricter than the reference's
 * `assert_safe_path` and after go-simplestreams: no empty, `.`, `..` or `...` segment, no leading slash, no `\`, `?` or
 * `#`. Colons are legal: `com.ubuntu.cloud:released:download.json`.
 */
export function isSafePath(path: string): boolean {
  if (FORBIDDEN_CHARACTERS.test(path) || FORBIDDEN_ENCODINGS.test(path)) return false;
  return path.split('/').every((segment) => !FORBIDDEN_SEGMENTS.has(segment));
}

/** Throws a TrustError that names the path and the document that holds it, unless the path is safe. */
export function assertSafePath(path: string, document: string): void {
  if (isSafePath(path)) return;
  throw new TrustError(`cannot trust ${document}: the path ${JSON.stringify(path)} could leave the source`, {
    hint: 'tell the publisher; paths must be relative and plain',
  });
}
