import { baseNameToken, networkTokensOfVolume, volumeToken } from '../core/reference-tokens.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import type { Volume } from '../libvirt/volume.ts';
import { draftTree } from './directory-nodes.ts';
import type { Draft, DraftNode } from './draft.ts';
import type { FileIdentifier, FileIdentity } from './file-identity.ts';
import type { PoolListing } from './inventory.ts';
import type { MountTable } from '../util/mounts.ts';

/** A volume with the node that stands for it. */
export interface SeenVolume {
  readonly volume: Volume;
  readonly node: DraftNode;
}

/** How pools are seen. */
interface PoolSight {
  readonly files: FileIdentifier;
  /** Whether the paths that libvirt shows are paths of this host. */
  readonly isLocal: boolean;
  /** The mounts of this host. */
  readonly table: MountTable | undefined;
}

/** Volumes that hold a tree of files. */
const DIRECTORY_VOLUMES: ReadonlySet<string> = new Set(['dir', 'netdir', 'ploop']);

/** For volumes whose path is a name on a network. */
const NOT_A_FILE: FileIdentity = { tokens: [], paths: [], state: 'other', entry: undefined, above: [], below: [] };

/**
 * Drafts a node for every volume of a pool, and for every file in its directory that libvirt does not list: overlays are
 * often made behind libvirt's back. What cannot be seen becomes a blind spot.
 */
export async function draftPool(
  listing: PoolListing,
  draft: Draft,
  { files, isLocal, table }: PoolSight,
): Promise<readonly SeenVolume[]> {
  const { pool, entries, volumes, unreadable } = listing;
  draft.miss(...listing.blindSpots);
  const exact = volumes.filter(({ isNameExact }) => isNameExact);
  const seen = exact.map((volume) => {
    const identity = identify(volume.path, files);
    const node = volumeNode(volume, pool, identity, isLocal);
    return { volume, node: draft.add(identity.entry ?? node.id, node) };
  });
  const tokensOf = (name: string): readonly string[] => [volumeToken(pool.name, name)];
  const strays = await draftTree(pool.targetPath ?? '', entries ?? [], {
    draft,
    files,
    pool: pool.name,
    table,
    tokensOf,
  });
  for (const { name, error } of unreadable) if (!strays.has(name)) missVolume(pool, name, error.message, draft);
  return [...seen, ...inexactVolumes(listing, strays, draft)];
}

/** libvirt cannot look a volume up whose name is not UTF-8; only the directory shows what it is. */
function inexactVolumes(
  { pool, volumes, entries }: PoolListing,
  strays: ReadonlyMap<string, DraftNode | undefined>,
  draft: Draft,
): readonly SeenVolume[] {
  const inexact = volumes.filter(({ isNameExact }) => !isNameExact);
  if (entries === undefined) for (const { name } of inexact) missVolume(pool, name, 'its name is not UTF-8', draft);
  return inexact.flatMap((volume) => {
    const node = strays.get(volume.name);
    return node === undefined ? [] : [{ volume, node }];
  });
}

function identify(path: string, files: FileIdentifier): FileIdentity {
  return path.startsWith('/') ? files.identify(path) : NOT_A_FILE;
}

function volumeNode(volume: Volume, pool: StoragePool, identity: FileIdentity, isLocal: boolean): DraftNode {
  const id = `${pool.name}/${volume.name}`;
  const names = [volumeToken(pool.name, volume.name), baseNameToken(volume.name)];
  const isReadable = isLocal && identity.state === 'file';
  return {
    id,
    label: `volume ${id}`,
    tokens: [...identity.tokens, ...identity.above, ...names, ...networkTokensOfVolume(pool.type, volume)],
    paths: [...new Set([volume.path, ...identity.paths])],
    isDirectory: DIRECTORY_VOLUMES.has(volume.type),
    edges: [],
    content: { file: isReadable ? volume.path : undefined, volume: { pool: pool.name, name: volume.name } },
  };
}

function missVolume({ name: pool }: StoragePool, name: string, cause: string, draft: Draft): void {
  draft.miss({
    what: `volume '${name}' in pool '${pool}'`,
    cause,
    remedy: `see 'virsh vol-dumpxml --pool ${pool} ${name}', or run poolkeeper on the host itself as root`,
    concerns: 'everything',
  });
}

/** A volume with its node, by the name of its pool and its own. */
export function findSeen(volumes: readonly SeenVolume[], pool: string, name: string): SeenVolume | undefined {
  return volumes.find(({ volume }) => volume.pool === pool && volume.name === name);
}
