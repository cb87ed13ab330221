import { lstatSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import type { BlindSpot } from '../core/reference.ts';
import type { Edge, Token } from '../core/use-graph.ts';
import { errnoCode } from '../util/errno.ts';

/** An image that is there and cannot be looked at may stand on another one, unless it is opened as raw bytes. */
export function unreadableImage({ formats = [], document, reference }: Edge, path: string): readonly BlindSpot[] {
  if (formats.every((format) => format === 'raw')) return [];
  return [
    {
      what: `image ${path}`,
      cause: `it cannot be looked at; ${document} names it at ${reference.evidence}`,
      remedy: `make ${path} readable, or remove the reference to it`,
      concerns: 'everything',
    },
  ];
}

/** What it means that a folder in a pool cannot be read, unless it is gone, or no place for images. */
export function unreadableFolder(path: string, name: string, error: unknown): readonly BlindSpot[] {
  const code = errnoCode(error);
  if (name === 'lost+found' || code === 'ENOENT' || code === 'ENOTDIR') return [];
  return [
    {
      what: `folder ${path}`,
      cause: `it cannot be read: ${String(error)}`,
      remedy: 'make it readable, or run poolkeeper as root on the host itself',
      concerns: 'everything',
    },
  ];
}

/**
 * Whether a file that could not be opened was removed or renamed since it was listed: temporary files come and go while pools are
 * looked through. Its name is missing from the very folder that it was seen in; in another one, something was mounted or
 * unmounted meanwhile.
 *
 * @param tokens those of the file, among them that of its folder.
 */
export function hasVanished(path: string | Buffer, tokens: readonly Token[]): boolean {
  try {
    lstatSync(path);
    return false;
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') return false;
  }
  try {
    const { dev, ino } = statSync(posix.dirname(path.toString()), { bigint: true });
    return tokens.includes(`below:${dev}:${ino}`);
  } catch {
    return false;
  }
}
