import { readdir } from 'node:fs/promises';
import { posix } from 'node:path';
import type { BlindSpot } from '../core/reference.ts';
import type { Edge } from '../core/use-graph.ts';
import type { FileIdentifier } from './file-identity.ts';

/** Places whose file QEMU opens as an image, so that it may stand on another one. */
const IMAGE_PLACES = /\/(disk|mirror|backingStore|dataStore|target|scratch)\b.*\/@(file|dev)$|header/;

/**
 * What it means that an image which something names is not to be seen. A file that is missing from a folder with other
 * files was deleted, and stands on nothing any more. If its folder is missing or empty, a file system is probably not
 * mounted, and the image may well be an overlay; so may one that cannot be looked at.
 */
export async function missingImage(
  edge: Edge,
  state: 'missing' | 'unreadable',
  files: FileIdentifier,
): Promise<readonly BlindSpot[]> {
  const { value, evidence } = edge.reference;
  if (!IMAGE_PLACES.test(evidence) || !value.startsWith('/')) return [];
  if (state === 'missing' && (await hasOtherFiles(posix.dirname(value), files))) return [];
  const cause =
    state === 'missing'
      ? 'its folder is missing or empty, as if a file system were not mounted'
      : 'it cannot be looked at';
  return [
    {
      what: `image ${value}, named by ${edge.document} at ${evidence}`,
      cause,
      remedy: `mount the file system that holds ${value}, or remove the reference to it`,
      concerns: 'everything',
    },
  ];
}

async function hasOtherFiles(folder: string, files: FileIdentifier): Promise<boolean> {
  if ((await files.identify(folder)).state !== 'directory') return false;
  const names = await readdir(folder).catch(() => []);
  return names.length > 0;
}
