import { FailureError, NoMatchError, UsageError } from '../errors.ts';
import { type Identity, identityText } from './identity.ts';
import { localName } from './local-image.ts';
import { nearNames } from './near-names.ts';
import type { ImageRecord } from './record.ts';

/** A former content of a persistent image, in a volume of its own. */
export interface Snapshot {
  readonly volumeName: string;
  readonly record: ImageRecord;
  /** Unique among the snapshots of its image, and so is the id. */
  readonly name: string;
  readonly id: string;
  readonly sizeBytes: bigint;
  /** The snapshot of the same image that it stands on. */
  readonly parent: string | undefined;
  /** Whether the image stands on it. */
  readonly isCurrent: boolean;
}

/** A volume as far as snapshots are concerned. */
export interface LayerVolume {
  readonly name: string;
  readonly path: string;
  readonly backingPath: string | undefined;
  readonly allocationBytes: bigint;
}

/** Leaves room for the longest name of an image before it. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,39}$/;

/** The tables of an image that is almost empty. */
const TABLE_BYTES = 1024n * 1024n;

/** What an image is called. */
export function imageLabel(identity: Identity): string {
  return localName(identity) ?? identityText(identity);
}

/**
 * The identity of a snapshot. It is local as well: no source has it. No image that an administrator brings in can have
 * the same, since their names have no `@`.
 *
 * @throws UsageError for a name that a snapshot cannot have.
 */
export function snapshotIdentity(image: Identity, name: string, id: string): Identity {
  if (!NAME.test(name)) {
    throw new UsageError(`'${name}' cannot be the name of a snapshot`, {
      hint: 'a name has at most 40 letters, digits and . _ + -, and begins with a letter or a digit',
    });
  }
  return derivedIdentity(image, name, id);
}

/** As in the identity: an image's own name has no `@`. */
function nameOf({ identity: { product } }: ImageRecord): string {
  return product.slice(product.lastIndexOf('@') + 1);
}

/** The identity of a copy of an image that is there only for a while. */
export function temporaryIdentity(image: Identity, id: string): Identity {
  return derivedIdentity(image, '@temporary', id);
}

function derivedIdentity(image: Identity, suffix: string, version: string): Identity {
  return { product: `local:${localName(image) ?? image.product}@${suffix}`, version };
}

/**
 * A moment as the id of a snapshot, to the millisecond: `20261125T201500123Z`. It is its name as well if the user gives
 * none. Who tries again right after a failure must not hit upon what that left.
 */
export function snapshotId(isoTime: string): string {
  return isoTime.replaceAll(/[-:.]/g, '');
}

/** Records of snapshots that are more than history or the rest of a failure. */
const HELD: ReadonlySet<string> = new Set(['active', 'deactivated', 'pending_delete']);

/** The snapshots of an image that have a volume, the oldest first. What stands on what is for the volumes to say. */
export function snapshotsOf(
  image: string,
  records: ReadonlyMap<string, ImageRecord>,
  volumes: readonly LayerVolume[],
): readonly Snapshot[] {
  const byName = new Map(volumes.map((volume) => [volume.name, volume]));
  const held = [...records.values()].filter(
    ({ traits, status, volumeName }) => traits?.snapshotOf === image && HELD.has(status) && byName.has(volumeName),
  );
  const layers = new Map(held.map(({ volumeName }) => [byName.get(volumeName)?.path, volumeName]));
  const below = (name: string): string | undefined => {
    const backingPath = byName.get(name)?.backingPath;
    return backingPath === undefined ? undefined : layers.get(backingPath);
  };
  const current = below(image);
  return held
    .map((record) => ({
      volumeName: record.volumeName,
      record,
      name: nameOf(record),
      id: record.identity.version,
      sizeBytes: byName.get(record.volumeName)?.allocationBytes ?? 0n,
      parent: below(record.volumeName),
      isCurrent: record.volumeName === current,
    }))
    .toSorted((a, b) => a.record.times.createdAt - b.record.times.createdAt || (a.volumeName < b.volumeName ? -1 : 1));
}

/** Finds a snapshot by its name or its id. @throws NoMatchError when there is none. */
export function findSnapshot(word: string, snapshots: readonly Snapshot[], label: string): Snapshot {
  const found = snapshots.find(({ name }) => name === word) ?? snapshots.find(({ id }) => id === word);
  if (found !== undefined) return found;
  const [near] = nearNames(
    word,
    snapshots.map(({ name }) => name),
  );
  throw new NoMatchError(`image ${label} has no snapshot '${word}'`, {
    hint: near === undefined ? `'poolkeeper snapshot list' shows its snapshots` : `did you mean '${near}'?`,
  });
}

/** @throws FailureError when a snapshot has the name already, be it one that waits for its deletion. */
export function assertNewName(name: string, snapshots: readonly Snapshot[], label: string): void {
  const taken = snapshots.find((snapshot) => snapshot.name === name || snapshot.id === name);
  if (taken === undefined) return;
  const isWaiting = taken.record.status === 'pending_delete';
  throw new FailureError(`image ${label} has a snapshot '${name}' already`, {
    hint: isWaiting ? 'it waits for its deletion; choose another name' : 'choose another name',
  });
}

/** The snapshots that stand on one, apart from those that wait for their deletion. */
export function childrenOf({ volumeName }: Snapshot, snapshots: readonly Snapshot[]): readonly Snapshot[] {
  return snapshots.filter(({ parent, record }) => parent === volumeName && record.status !== 'pending_delete');
}

/**
 * How many bytes a flat copy of an image takes at most: what all layers hold, or the whole disk if that is less, and as
 * much again as its tables may take. Of a layer outside the pool nothing is known, so that it may be as large as the disk.
 */
export function flatBytes(image: string, layers: readonly LayerVolume[], virtualSizeBytes: bigint): bigint {
  const byPath = new Map(layers.map((layer) => [layer.path, layer]));
  let layer = layers.find(({ name }) => name === image);
  let held = 0n;
  for (let depth = 0; layer !== undefined && depth <= layers.length; depth += 1) {
    held += layer.allocationBytes;
    if (layer.backingPath !== undefined && !byPath.has(layer.backingPath)) held += virtualSizeBytes;
    layer = layer.backingPath === undefined ? undefined : byPath.get(layer.backingPath);
  }
  const least = held < virtualSizeBytes ? held : virtualSizeBytes;
  return least + least / 4096n + TABLE_BYTES;
}

/** A snapshot in its place in the tree. */
export interface TreeRow {
  readonly snapshot: Snapshot;
  /** What stands before its name: `│  └─ `. */
  readonly branch: string;
}

/** The snapshots as a tree, those that stand on one behind it. */
export function treeOf(snapshots: readonly Snapshot[]): readonly TreeRow[] {
  const rows: TreeRow[] = [];
  const visit = (parent: string | undefined, indent: string): void => {
    const children = snapshots.filter((snapshot) => snapshot.parent === parent);
    for (const [index, snapshot] of children.entries()) {
      const isLast = index === children.length - 1;
      const isRoot = parent === undefined;
      rows.push({ snapshot, branch: isRoot ? '' : `${indent}${isLast ? '└─ ' : '├─ '}` });
      visit(snapshot.volumeName, isRoot ? '' : `${indent}${isLast ? '   ' : '│  '}`);
    }
  };
  visit(undefined, '');
  return rows;
}
