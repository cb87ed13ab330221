import { decodeVolumeName, encodeVolumeName, type Identity, identityText } from '../core/identity.ts';
import { saysNothing } from '../core/lifecycle.ts';
import { isLocalImage, isStaging } from '../core/local-image.ts';
import type { ImageRecord } from '../core/record.ts';
import { IntegrityError, type PoolkeeperError } from '../errors.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import type { NamedVolume, Volume } from '../libvirt/volume.ts';
import { type MetadataFile, readMetadataFiles } from '../state/metadata-files.ts';
import type { PoolStatePaths } from '../state/paths.ts';
import { readRecords } from '../state/records.ts';
import { readSourceMemories } from '../state/source-memory.ts';
import { contentStamp } from './volume-file.ts';

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
  /**
   * Volumes without a record and without metadata that are nobody's garbage, by name. They stay until a person names them.
   * - `own`: the name says that a person made it
   * - `unlisted`: no source that this pool remembers ever listed the product
   */
  readonly unclaimed: ReadonlyMap<string, 'own' | 'unlisted'>;
  /** Volumes whose content changed since it was found wrong, by name, as far as they were looked at: nothing is known of them. */
  readonly rewritten: ReadonlySet<string>;
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
  const held = {
    managed,
    records: records.records,
    metadata: new Map(metadata.files.map((file) => [identityText(file.identity), file])),
  };
  return {
    ...held,
    pool,
    foreign: volumes.filter(({ name }) => !managed.has(name)).map(({ name }) => name),
    damaged: identified.filter(isDamaged),
    unknown: new Map(closed.map(({ identity, error }) => [identityText(identity), error.message])),
    unclaimed: findUnclaimed(held, await listedIn(held, paths.sources)),
    rewritten: new Set(volumes.flatMap((volume) => (isRewritten(volume, held.records) ? [volume.name] : []))),
    undecodable: metadata.undecodable,
  };
}

/** Whether the content of a volume is another than the one that its record has a verdict on; a mere name tells nothing. */
function isRewritten(volume: NamedVolume | Volume, records: PoolView['records']): boolean {
  const judged = records.get(volume.name)?.judged;
  return judged !== undefined && 'xml' in volume && contentStamp(volume) !== judged;
}

/** The view, with products besides that sources list, such as those of a run that has not been written down yet. */
export function withListed(view: PoolView, listed: ReadonlySet<string>): PoolView {
  const stays = ([name, why]: readonly [string, 'own' | 'unlisted']): boolean =>
    why === 'own' || !listed.has(view.managed.get(name)?.identity.product ?? '');
  return { ...view, unclaimed: new Map([...view.unclaimed].filter(stays)) };
}

type Held = Pick<PoolView, 'managed' | 'records' | 'metadata'>;

/** What the sources that this pool remembers ever listed. Memories are only worth a look where something is unrecorded. */
async function listedIn(held: Held, sourcesDir: string): Promise<ReadonlySet<string>> {
  const isAsked = [...held.managed.values()].some((managed) => isUnrecorded(managed, held));
  const memories = isAsked ? await readSourceMemories(sourcesDir) : [];
  return new Set(memories.flatMap(({ listed }) => listed));
}

function findUnclaimed(held: Held, listed: ReadonlySet<string>): PoolView['unclaimed'] {
  return new Map(
    [...held.managed.values()].flatMap((managed): readonly [string, 'own' | 'unlisted'][] => {
      const { volume, identity } = managed;
      if (!isUnrecorded(managed, held) || isStaging(identity)) return [];
      if (isLocalImage(identity)) return [[volume.name, 'own']];
      const isOfSource = held.records.get(volume.name)?.provenance.source !== undefined;
      return isOfSource || listed.has(identity.product) ? [] : [[volume.name, 'unlisted']];
    }),
  );
}

/** Whether nothing is known of a volume beside its name. */
function isUnrecorded({ volume, identity }: ManagedVolume, { records, metadata }: Held): boolean {
  const record = records.get(volume.name);
  return !metadata.has(identityText(identity)) && (saysNothing(record?.status) || isPresumption(record));
}

/**
 * Whether a record says no more than that a volume was found, as versions up to 0.1 wrote it of every name of this kind. What
 * a person named has tags.
 */
function isPresumption(record: ImageRecord | undefined): boolean {
  if (record?.status !== 'pending_delete' || record.reason !== undefined) return false;
  const { provenance, tags } = record;
  return provenance.broughtBy === 'unknown' && provenance.digest === undefined && Object.keys(tags).length === 0;
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
