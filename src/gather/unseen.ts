import { lstat, readdir } from 'node:fs/promises';
import { posix } from 'node:path';
import type { BlindSpot } from '../core/reference.ts';
import type { Edge } from '../core/use-graph.ts';

/** Places of an XML document whose file QEMU opens as an image, so that it may stand on another one. */
const IMAGE_PLACES =
  /\/(?:(?:disk|mirror|backingStore|dataStore|src|store|nvram|filesystem|target|scratch)\b.*\/@(?:file|dev|volume)|[\w:]*commandline\/.*)$/;

/** An image that something names and that is not to be seen. */
export interface UnseenImage {
  readonly edge: Edge;
  readonly path: string;
  readonly state: 'missing' | 'unreadable';
}

/**
 * What it means that an image is not to be seen. A file that is missing from a folder with other files was deleted, and
 * stands on nothing any more. If its folder is missing or empty, a file system is probably not mounted, and the image
 * may well be an overlay; so may one that cannot be looked at.
 */
export async function unseenImage({ edge, path, state }: UnseenImage): Promise<readonly BlindSpot[]> {
  if (!mayBeOverlay(edge)) return [];
  if (state === 'missing' && (await hasFiles(posix.dirname(path)))) return [];
  const cause =
    state === 'missing'
      ? 'its folder is missing or empty, as if a file system were not mounted'
      : 'it cannot be looked at';
  return [
    {
      what: `image ${path}`,
      cause: `${cause}; ${edge.document} names it at ${edge.reference.evidence}`,
      remedy: `mount the file system that holds ${path}, or remove the reference to it`,
      concerns: 'everything',
    },
  ];
}

/** A volume of a pool that libvirt does not know any more: nobody can tell where its file is, and what that stands on. */
export function volumeOfNoPool(edge: Edge, pool: string): readonly BlindSpot[] {
  if (!mayBeOverlay(edge)) return [];
  return [
    {
      what: `volume '${edge.reference.value}' in pool '${pool}'`,
      cause: `there is no such pool; ${edge.document} names it at ${edge.reference.evidence}`,
      remedy: `define the pool '${pool}' again, or remove the reference to it`,
      concerns: 'everything',
    },
  ];
}

/** What it means that a link in a pool leads nowhere: by the same rule as for a missing image. */
export async function danglingLink(path: string, target: string): Promise<readonly BlindSpot[]> {
  if (await hasFiles(posix.dirname(target))) return [];
  return [
    {
      what: `link ${path}`,
      cause: `it leads to ${target}, whose folder is missing or empty, as if a file system were not mounted`,
      remedy: `mount the file system that holds ${target}, or remove the link`,
      concerns: 'everything',
    },
  ];
}

/** What it means that a folder in a pool cannot be read, unless it is gone, or no place for images. */
export function unreadableFolder(path: string, name: string, error: unknown): readonly BlindSpot[] {
  const code = codeOf(error);
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

/** Whether a file that could not be opened is simply gone: temporary files come and go while pools are looked through. */
export async function hasVanished(path: string | Buffer): Promise<boolean> {
  try {
    await lstat(path);
    return false;
  } catch (error) {
    return codeOf(error) === 'ENOENT' && (await hasFiles(posix.dirname(path.toString())));
  }
}

/** Whether something may stand behind what an edge names. A name in an image header stands at no XPath. */
function mayBeOverlay({ isRaw = false, reference: { evidence } }: Edge): boolean {
  return !isRaw && (!evidence.startsWith('/') || IMAGE_PLACES.test(evidence));
}

/** Hidden files often lie in a place where a file system is to be mounted, and say nothing of what is on it. */
async function hasFiles(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => []);
  return names.some((name) => !name.startsWith('.') && name !== 'lost+found');
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
