import { compareIdentities, type Identity, identityText } from '../core/identity.ts';
import { isLocalImage } from '../core/local-image.ts';
import { type ImageRecord, isPinned } from '../core/record.ts';
import type { StockedImage } from '../core/retention.ts';
import { type PoolSight, volumesInUse } from './judge-pool.ts';

/** Whether a product left its source, or the filters. The source is its address without credentials, if known. */
export type IsGone = (identity: Identity, source: string | undefined) => boolean;

/**
 * The managed volumes of a pool as retention sees them. Images of which something cannot be read are left out: they stay as
 * they are.
 */
export function stockOf(sight: PoolSight, now: number, isGone: IsGone): readonly StockedImage[] {
  const { view, gathered } = sight;
  const inUse = volumesInUse(sight, now);
  const unread = new Set([...view.unknown.keys(), ...view.damaged.map(({ identity }) => identityText(identity))]);
  const stock = gathered.volumes.flatMap(({ volume }): readonly StockedImage[] => {
    const identity = volume.pool === view.pool.name ? view.managed.get(volume.name)?.identity : undefined;
    if (identity === undefined || unread.has(identityText(identity))) return [];
    const record = view.records.get(volume.name);
    return [
      {
        ...bookkeepingOf(record, now),
        isOwn: isLocalImage(identity),
        isUnclaimed: view.unclaimed.has(volume.name),
        volumeName: volume.name,
        identity,
        source: sourceOf(identity, record),
        sizeBytes: volume.allocationBytes,
        isOffered: view.metadata.has(identityText(identity)),
        isInUse: inUse.has(volume.name),
        neededBy: inUse.get(volume.name),
        isGone: isGone(identity, sourceOf(identity, record)),
        modifiedAtMs: volume.modifiedAtMs,
      },
    ];
  });
  return stock.toSorted((a, b) => compareIdentities(a.identity, b.identity));
}

/** The source that an image came from. What a person brought is nobody's, wherever the person had it from. */
export function sourceOf(identity: Identity, record: ImageRecord | undefined): string | undefined {
  return isLocalImage(identity) ? undefined : record?.provenance.source;
}

type Bookkeeping = 'status' | 'isLocked' | 'keptAs' | 'lastNeededAt' | 'statusSince';

function bookkeepingOf(record: ImageRecord | undefined, now: number): Pick<StockedImage, Bookkeeping> {
  const { lastNeededAt, statusSince } = record?.times ?? { lastNeededAt: now, statusSince: now };
  return { status: record?.status, isLocked: isPinned(record, now), keptAs: keptAs(record), lastNeededAt, statusSince };
}

function keptAs(record: ImageRecord | undefined): StockedImage['keptAs'] {
  if (record?.traits?.snapshotOf !== undefined) return 'snapshot';
  return record?.traits?.isPersistent === true ? 'persistent' : undefined;
}
