import { decodeVolumeName, encodeVolumeName, type Identity, identityText } from '../core/identity.ts';
import type { ImageRecord } from '../core/record.ts';
import { IntegrityError, type PoolkeeperError } from '../errors.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import type { NamedVolume } from '../libvirt/volume.ts';
import { type MetadataFile, readMetadataFiles } from '../state/metadata-files.ts';
import type { PoolStatePaths } from '../state/paths.ts';
import { readRecords } from '../state/records.ts';

/** A volume whose name says which image it holds. */
export interface ManagedVolume {
  readonly volume: NamedVolume;
  readonly identity: Identity;
}

/** A file of the state that is damaged and has to be moved out of the way. */
export interface DamagedFile {
  readonly kind: 'metadata file' | 'record';
  readonly name: string;
  readonly identity: Identity;
  readonly error: PoolkeeperError;
}

/** What a pool holds and what is written down about it, side by side. */
export interface PoolView {
  readonly pool: StoragePool;
  /** Managed volumes by name. */
  readonly managed: ReadonlyMap<string, ManagedVolume>;
  /** Names in the pool that are not poolkeeper's to touch. */
  readonly foreign: readonly string[];
  /** By identity text. */
  readonly metadata: ReadonlyMap<string, MetadataFile>;
  /** By volume name. */
  readonly records: ReadonlyMap<string, ImageRecord>;
  readonly damaged: readonly DamagedFile[];
  /** Images of which something cannot be read, with the reason, by identity text. They are left exactly as they are. */
  readonly unknown: ReadonlyMap<string, string>;
  /** Names in the metadata directory that no image has; each of them stops uvtool. */
  readonly undecodable: readonly string[];
}

/** Reads metadata files and records, and puts them beside the volumes of the pool. */
export async function gatherPoolView(
  pool: StoragePool,
  volumes: readonly NamedVolume[],
  paths: PoolStatePaths,
): Promise<PoolView> {
  const [metadata, records] = [await readMetadataFiles(paths.metadata), await readRecords(paths.records)];
  const managed = new Map(volumes.flatMap((volume) => toManaged(volume, pool)));
  const unreadable = [
    ...metadata.unreadable.map((file) => ({ kind: 'metadata file' as const, ...file })),
    ...records.unreadable.map((file) => ({ kind: 'record' as const, ...file })),
  ];
  const identified = unreadable.flatMap((file) => {
    const identity = decodeVolumeName(file.name.replace(/\.json$/, ''));
    return identity === undefined ? [] : [{ ...file, identity }];
  });
  const isDamaged = ({ error }: DamagedFile): boolean => error instanceof IntegrityError;
  const closed = identified.filter((file) => !isDamaged(file));
  return {
    pool,
    managed,
    foreign: volumes.filter(({ name }) => !managed.has(name)).map(({ name }) => name),
    metadata: new Map(metadata.files.map((file) => [identityText(file.identity), file])),
    records: records.records,
    damaged: identified.filter(isDamaged),
    unknown: new Map(closed.map(({ identity, error }) => [identityText(identity), error.message])),
    undecodable: metadata.undecodable,
  };
}

/** The name that an identity has as a volume of this pool. */
export function volumeNameIn(pool: StoragePool): (identity: Identity) => string {
  return (identity) => encodeVolumeName(identity, pool.type);
}

function toManaged(volume: NamedVolume, pool: StoragePool): readonly [string, ManagedVolume][] {
  const identity = decodeVolumeName(volume.name);
  const isOurs = identity !== undefined && encodeVolumeName(identity, pool.type) === volume.name;
  return isOurs && volume.isNameExact ? [[volume.name, { volume, identity }]] : [];
}
