import { formatBytes } from '../core/byte-size.ts';
import type { ImageCommand } from '../core/image-commands.ts';
import { imageLabel, type LayerVolume, type Snapshot, snapshotsOf } from '../core/snapshots.ts';
import { FailureError, InUseError, NoSpaceError } from '../errors.ts';
import type { PersistentImage } from '../execute/persistent-image.ts';
import { readQcow2 } from '../gather/qcow2-content.ts';
import { assertSoleUse } from '../gather/sole-use.ts';
import { ImageLock } from '../image-format/image-lock.ts';
import { QCOW2_INCOMPATIBLE, type Qcow2Header } from '../image-format/qcow2.ts';
import { poolSpace } from '../libvirt/storage-pool.ts';
import { listVolumes, lookupVolume } from '../libvirt/volume.ts';
import { assertNotOpen } from '../execute/assert-not-open.ts';
import { patiently } from '../state/trash.ts';
import { readRecords } from '../state/records.ts';
import { findImage, type FoundImage } from './find-image.ts';
import { permit } from './permit.ts';
import type { LockedSession, Session } from './session.ts';

/** A persistent image with its snapshots. */
export interface SnapshottedImage {
  readonly image: PersistentImage;
  readonly snapshots: readonly Snapshot[];
  /** What of the image's volume and those of its snapshots is known. */
  readonly layers: readonly LayerVolume[];
}

/**
 * Finds the image that a word means, if a command may be carried out on it.
 *
 * @throws NoMatchError, UsageError for a word that fits none or several; FailureError when it may not.
 */
export function permitted(command: ImageCommand, word: string, images: readonly FoundImage[]): FoundImage {
  const image = findImage([word], images);
  permit(command, image);
  return image;
}

/**
 * Looks at a persistent image and its snapshots.
 *
 * @throws FailureError when its content cannot be changed by way of snapshots; InUseError when an earlier change of it is not
 * finished.
 */
export async function openImage(session: LockedSession, found: FoundImage): Promise<SnapshottedImage> {
  const { volumeName, record, identity } = found;
  const label = imageLabel(identity);
  if (record === undefined) throw new FailureError(`cannot change image ${label}: nothing is written down about it`);
  assertSettled(session, found, label);
  const { connection, pool } = session;
  const volume = await lookupVolume(connection, pool.name, volumeName);
  const content = await readQcow2(connection, volume).catch(() => undefined);
  const refusal = content === undefined ? 'it is not a qcow2 image' : refusalOf(content.header);
  if (content === undefined || refusal !== undefined) {
    throw new FailureError(`cannot change image ${label} by way of snapshots: ${refusal ?? ''}`, {
      hint: `'poolkeeper clone --full' makes an image that is fit for it`,
    });
  }
  return { image: { volume, record, label, ...content }, ...(await readSnapshots(session, volumeName)) };
}

/** The snapshots of an image, as they are now. */
export async function readSnapshots(
  { connection, pool, paths }: Session,
  volumeName: string,
): Promise<Pick<SnapshottedImage, 'snapshots' | 'layers'>> {
  const { volumes: layers } = await listVolumes(connection, pool.name);
  const { records } = await readRecords(paths.records);
  return { snapshots: snapshotsOf(volumeName, records, layers), layers };
}

/** @throws InUseError while what an interrupted run began could not be finished. */
export function assertSettled({ environment }: LockedSession, { volumeName }: FoundImage, label: string): void {
  const isOpen = environment.journal
    .openIntents()
    .some(({ intent }) => intent.kind === 'replace' && intent.volumeName === volumeName);
  if (!isOpen) return;
  throw new InUseError(`an earlier change of image ${label} is not finished`, {
    hint: 'do as the warning before says, then run again',
  });
}

/** Why an image cannot be copied or stood upon without losing something. */
function refusalOf({ encryption, dataFile, incompatibleFeatures, snapshotCount }: Qcow2Header): string | undefined {
  if (encryption !== 'none') return 'it is encrypted';
  if (dataFile !== undefined) return 'its data is in another file';
  if ((incompatibleFeatures & QCOW2_INCOMPATIBLE.corrupt) !== 0n) return 'it is marked as corrupt';
  if (snapshotCount > 0) return `it has ${snapshotCount} internal snapshot(s) of QEMU, which would be lost`;
  return undefined;
}

/**
 * Makes sure that nothing would be harmed if the image got another content, and keeps QEMU from writing to it for the time
 * of `use`. That is given what to call once more, right before the content changes: from then on QEMU cannot even read it.
 *
 * @throws InUseError, IncompleteViewError, FailureError.
 */
export async function withSoleUse<T>(
  session: Session,
  { volume, label }: PersistentImage,
  isContentKept: boolean,
  use: (assertIdle: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const look = () => assertSoleUse(session, { volumeName: volume.name, label, isContentKept });
  await look();
  using lock = ImageLock.take(volume.path, label);
  return await use(async () => {
    lock.denyReading();
    await look();
    assertNotOpen(await patiently(() => lock.ask()), label);
  });
}

/** @throws NoSpaceError unless the pool has room for so many bytes. */
export async function assertRoom({ connection, pool }: Session, neededBytes: bigint, what: string): Promise<void> {
  const { availableBytes } = await poolSpace(connection, pool.name);
  if (neededBytes <= availableBytes) return;
  const [needed, available] = [formatBytes(neededBytes), formatBytes(availableBytes)];
  throw new NoSpaceError(`cannot ${what}: it needs ${needed}, and ${available} are free`, {
    hint: 'free some space where the storage pool is',
  });
}
