import { type Identity, identityText } from './identity.ts';
import { isLocalImage } from './local-image.ts';
import type { ImageRecord } from './record.ts';
import type { KeepReason, Verdict } from './sweep-plan.ts';
import { compareVersions } from './version.ts';

/** An image of the pool, as far as taking it back is concerned. */
export interface HeldRecord {
  readonly identity: Identity;
  readonly record: ImageRecord | undefined;
  readonly isOffered: boolean;
}

/** An image to take back, and whether it is offered again. */
export interface Restoration {
  readonly record: ImageRecord;
  readonly isOffered: boolean;
}

/** Whether an image waits for its deletion and is known to be complete, as local ones are once they are more than an attempt. */
export function isRestorable({ identity, status, provenance }: ImageRecord): boolean {
  if (status !== 'pending_delete') return false;
  return provenance.digest !== undefined || provenance.broughtBy === 'uvtool' || isLocalImage(identity);
}

/** The records of all images that can be taken back. */
export function restorableRecords(images: readonly HeldRecord[]): readonly ImageRecord[] {
  return images.flatMap(({ record }) => (record !== undefined && isRestorable(record) ? [record] : []));
}

/** The run that retired images last, of those that can be taken back. */
export function lastRun(records: readonly ImageRecord[]): string | undefined {
  return records
    .filter(({ retiredBy }) => retiredBy !== undefined)
    .toSorted((a, b) => b.times.statusSince - a.times.statusSince)[0]?.retiredBy;
}

/**
 * Decides which of the images to take back are offered: only the newest version of each product, of all that are held, and
 * none of a source that a domain writes to.
 */
export function planUndo(records: readonly ImageRecord[], images: readonly HeldRecord[]): readonly Restoration[] {
  const restored = new Set(records.map(({ identity }) => identityText(identity)));
  const held = images.filter(
    ({ identity, record, isOffered }) =>
      isOffered || record?.status === 'active' || restored.has(identityText(identity)),
  );
  return records.map((record) => {
    const { product, version } = record.identity;
    const isReplaced = held.some(
      ({ identity }) => identity.product === product && compareVersions(identity.version, version) > 0,
    );
    return { record, isOffered: !isReplaced && isOfferable(record) };
  });
}

/** Whether an image may have a metadata file: what a domain writes to is no longer what its source published. */
export function isOfferable({ identity, traits }: Pick<ImageRecord, 'identity' | 'traits'>): boolean {
  if (traits?.snapshotOf !== undefined) return false;
  return traits?.isPersistent !== true || isLocalImage(identity);
}

/** An image to take back because something needs it again, and what. */
export interface Rescue {
  readonly record: ImageRecord;
  readonly need: KeepReason;
}

/**
 * Decides which images that wait for their deletion are taken back by themselves: those that something has begun to need
 * since they were taken out of use. What was in use then goes on waiting for its last user.
 *
 * @param inUse names of volumes that something needs which is no image of the pool.
 * @param runId this run, which does not undo what it did itself.
 */
export function planRescues(
  verdicts: readonly Verdict[],
  records: ReadonlyMap<string, ImageRecord>,
  { inUse, runId }: { readonly inUse: ReadonlySet<string>; readonly runId: string | undefined },
): readonly Rescue[] {
  return verdicts.flatMap((verdict): readonly Rescue[] => {
    const record = records.get(verdict.volume.name);
    if (verdict.action === 'delete' || record === undefined || !inUse.has(verdict.volume.name)) return [];
    const isOwnDoing = runId !== undefined && record.retiredBy === runId;
    const isNewlyNeeded = record.times.lastNeededAt < record.times.statusSince && !isOwnDoing;
    return isNewlyNeeded && isRestorable(record) ? [{ record, need: verdict.reason }] : [];
  });
}
