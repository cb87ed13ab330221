import { identityText } from '../core/identity.ts';
import type { ImageStatus } from '../core/lifecycle.ts';
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

/** What else speaks for or against a volume. */
interface SplitFacts {
  readonly firstSeenAt: number;
  /** Whether to judge the volume of this name as if nobody were offered it. */
  readonly isRetired: (name: string) => boolean;
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
    const lastNeededAt = isRetiredNow ? firstSeenAt : neededAt(volume.name, view, firstSeenAt);
    if (cause === undefined) candidates.push({ volume, node, lastNeededAt });
    else causes.set(node.id, cause);
  }
  return { candidates, causes };
}

function neededAt(volumeName: string, view: PoolView, firstSeenAt: number): number {
  const times = view.records.get(volumeName)?.times;
  return times === undefined ? firstSeenAt : Math.max(times.lastNeededAt, times.statusSince);
}

/** Why a managed volume stays even if nothing needs it; `undefined` when it is garbage as far as its pool is concerned. */
export function causeToStay(
  { volume, identity }: ManagedVolume,
  view: PoolView,
  isRetired = false,
): string | undefined {
  const key = identityText(identity);
  const unknown = view.unknown.get(key) ?? damageOf(key, view);
  if (unknown !== undefined || isRetired) return unknown;
  if (view.metadata.has(key)) return `image ${key} is offered`;
  const status = view.records.get(volume.name)?.status ?? 'pending_delete';
  if (DISCARDED.has(status)) return undefined;
  return `image ${key} is ${status === 'active' ? 'retained' : status}`;
}

function damageOf(key: string, view: PoolView): string | undefined {
  return view.damaged.find(({ identity }) => identityText(identity) === key)?.error.message;
}
