import { identityText } from '../core/identity.ts';
import type { ImageStatus } from '../core/lifecycle.ts';
import type { ImageRecord } from '../core/record.ts';
import type { SweepCandidate } from '../core/sweep-plan.ts';
import type { GatheredGraph } from './use-graph.ts';
import type { ManagedVolume, PoolView } from './pool-view.ts';

/** The managed volumes of a pool, parted into those that may go and those that stay for a reason of their own. */
export interface CandidateSplit {
  readonly candidates: readonly SweepCandidate[];
  /** Why the others stay, by node id. */
  readonly causes: ReadonlyMap<string, string>;
}

/** Statuses in which an image only waits for its volume to go. */
const DISCARDED: ReadonlySet<ImageStatus> = new Set<ImageStatus>(['pending_delete', 'killed', 'deleted']);

/** Whether to judge a volume as if nobody were offered it, or even as if it could be had from elsewhere. */
export type Retirement = boolean | 'even lasting';

/** What else speaks for or against a volume. */
interface SplitFacts {
  readonly firstSeenAt: number;
  /** Whether to judge the volume of this name as if nobody were offered it. */
  readonly isRetired: (name: string) => Retirement;
  /** Why files stay that another pool shows as well, by node id. */
  readonly elsewhere: ReadonlyMap<string, string>;
}

/**
 * Parts the volumes of the view's pool. A volume is a candidate when it is managed and nobody is offered it; volumes
 * without a record, and those that are taken out of the offer only now, count from `firstSeenAt`.
 */
export function splitCandidates(
  view: PoolView,
  gathered: GatheredGraph,
  { firstSeenAt, isRetired, elsewhere }: SplitFacts,
): CandidateSplit {
  const candidates: SweepCandidate[] = [];
  const causes = new Map<string, string>();
  for (const { volume, node } of gathered.volumes) {
    if (volume.pool !== view.pool.name) continue;
    const managed = view.managed.get(volume.name);
    const isRetiredNow = isRetired(volume.name);
    const cause =
      managed === undefined
        ? `volume ${volume.pool}/${volume.name} is not managed`
        : (elsewhere.get(node.id) ?? causeToStay(managed, view, isRetiredNow));
    const lastNeededAt = isRetiredNow !== false ? firstSeenAt : neededAt(volume.name, view, firstSeenAt);
    if (cause === undefined) candidates.push({ volume, node, lastNeededAt });
    else causes.set(node.id, cause);
  }
  return { candidates, causes };
}

function neededAt(volumeName: string, view: PoolView, firstSeenAt: number): number {
  const times = view.records.get(volumeName)?.times;
  return times === undefined ? firstSeenAt : Math.max(times.lastNeededAt, times.statusSince);
}

/** Why a volume of which nothing is written down is nobody's garbage. */
export const UNCLAIMED: Readonly<Record<'own' | 'unlisted', string>> = {
  own: 'its name says that a person made it, and nothing is written down about it',
  unlisted: 'no source that is known here ever listed its product, and nothing is written down about it',
};

/** Why a managed volume stays even if nothing needs it; `undefined` when it is garbage as far as its pool is concerned. */
export function causeToStay(
  { volume, identity }: ManagedVolume,
  view: PoolView,
  isRetired: Retirement = false,
): string | undefined {
  const key = identityText(identity);
  const unknown = view.unknown.get(key) ?? damageOf(key, view);
  if (unknown !== undefined) return unknown;
  const record = view.records.get(volume.name);
  const lasting = isRetired === 'even lasting' ? undefined : lastingRole(record);
  const unclaimed = isRetired === false ? view.unclaimed.get(volume.name) : undefined;
  if (unclaimed !== undefined) return `image ${key} is kept: ${UNCLAIMED[unclaimed]}`;
  if (isRetired === false && view.rewritten.has(volume.name))
    return `image ${key} is kept: its content changed since it was found wrong`;
  const role = lasting ?? (isRetired === false ? roleOf(record, view.metadata.has(key)) : undefined);
  return role === undefined ? undefined : `image ${key} is ${role}`;
}

/** What an image is to its pool; `undefined` when it only waits for its deletion. */
function roleOf(record: ImageRecord | undefined, isOffered: boolean): string | undefined {
  if (isOffered) return 'offered';
  const status = record?.status ?? 'pending_delete';
  if (DISCARDED.has(status)) return undefined;
  return status === 'active' ? 'retained' : status;
}

/** What can be had from nowhere else, so that no policy and no withdrawal of all images makes it garbage. */
function lastingRole(record: ImageRecord | undefined): string | undefined {
  if (record === undefined || DISCARDED.has(record.status)) return undefined;
  if (record.traits?.snapshotOf !== undefined) return 'a snapshot of a persistent image';
  return record.traits?.isPersistent === true ? 'persistent' : undefined;
}

function damageOf(key: string, view: PoolView): string | undefined {
  return view.damaged.find(({ identity }) => identityText(identity) === key)?.error.message;
}
