import { join } from 'node:path';
import type { FlatItem } from '../core/filter.ts';
import { compareIdentities, type Identity, identityText } from '../core/identity.ts';
import { listDirectory } from '../state/listing.ts';
import { readMetadataFiles } from '../state/metadata-files.ts';
import { poolStatePaths } from '../state/paths.ts';
import { readRecords } from '../state/records.ts';

/** What is known of images without asking libvirt. */
export interface KnownImages {
  readonly identities: readonly Identity[];
  /** The tags of those that are offered. */
  readonly tags: readonly FlatItem[];
}

/** Reads the names of images in all storage pools, as far as this user may. Never fails. */
export async function readKnownImages(stateDir: string, metadataDir: string | undefined): Promise<KnownImages> {
  const pools = await listDirectory(join(stateDir, 'pools')).catch(() => []);
  const paths = pools.flatMap(({ name }) => pathsOf(stateDir, name, undefined));
  const offered = [
    ...pathsOf(stateDir, NO_POOL, metadataDir).map(({ metadata }) => metadata),
    ...paths.map(({ metadata }) => metadata),
  ];
  const metadata = (await Promise.all(offered.map(readOffered))).flat();
  const records = (await Promise.all(paths.map(async (path) => readHeld(path.records)))).flat();
  const identities = new Map([...metadata, ...records].map(({ identity }) => [identityText(identity), identity]));
  return {
    identities: [...identities.values()].toSorted(compareIdentities),
    tags: metadata.map(({ item }) => item),
  };
}

/** A UUID that no pool has, to ask where the metadata of pool `uvtool` lies. */
const NO_POOL = '00000000-0000-0000-0000-000000000000';

function pathsOf(stateDir: string, uuid: string, metadataDir: string | undefined) {
  const name = uuid === NO_POOL ? 'uvtool' : '';
  try {
    return [poolStatePaths({ stateDir, pool: { name, uuid }, ...(metadataDir === undefined ? {} : { metadataDir }) })];
  } catch {
    // Something else lies among the pools.
    return [];
  }
}

async function readOffered(dir: string) {
  return (await readMetadataFiles(dir).catch(() => ({ files: [] }))).files;
}

async function readHeld(dir: string) {
  const found = await readRecords(dir).catch(() => undefined);
  return [...(found?.records.values() ?? [])];
}
