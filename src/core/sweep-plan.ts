import type { PoolkeeperError } from '../errors.ts';
import type { BlindSpot } from './reference.ts';
import {
  concerns,
  createResolver,
  type GraphNode,
  mark,
  type Need,
  overlaysFirst,
  type Resolver,
  rootsOf,
  type UseGraph,
} from './use-graph.ts';

/** What a plan needs to know about a volume, and what must still hold when it is deleted. */
export interface PoolVolume {
  readonly pool: string;
  readonly name: string;
  readonly key: string;
  readonly path: string;
  /** libvirt's volume type: only `file` and `block` may ever be deleted. */
  readonly type: string;
  readonly capacityBytes: bigint;
  readonly allocationBytes: bigint;
  /** The length of the file; only some pools tell. */
  readonly lengthBytes: bigint | undefined;
  /** Last change of the content, in milliseconds since the epoch; `undefined` where libvirt does not tell. */
  readonly modifiedAtMs: number | undefined;
}

/** A volume that may be deleted if nothing speaks against it. */
export interface SweepCandidate {
  readonly volume: PoolVolume;
  readonly node: GraphNode;
  /** When it was last needed or offered, or first seen. */
  readonly lastNeededAt: number;
}

export interface SweepPolicy {
  readonly now: number;
  /** How long a volume must not have been needed. */
  readonly graceMs: number;
  /** A volume that changed more recently is a root. */
  readonly minAgeMs: number;
  /** How long the host has lived since a time of the wall clock; by default what the wall clock says. */
  livedSince?(this: void, time: number): number;
}

/** A period that has not passed yet. */
export interface Wait {
  readonly kind: 'grace' | 'young';
  readonly eligibleAt: number;
}

/** Why a volume stays. */
export type KeepReason =
  | { readonly kind: 'needed'; readonly need: Need }
  | Wait
  | { readonly kind: 'unseen'; readonly blindSpots: readonly BlindSpot[] }
  | { readonly kind: 'volume type' };

export type Verdict =
  | { readonly action: 'delete'; readonly volume: PoolVolume }
  | { readonly action: 'keep'; readonly volume: PoolVolume; readonly reason: KeepReason };

/** What became of a volume that was to be deleted. */
export type SweepOutcome =
  | {
      readonly result: 'deleted';
      readonly volume: PoolVolume;
      /** Why it could not be written down; the next run will. */
      readonly unrecorded?: PoolkeeperError;
    }
  /** Something changed since the plan was made, so the volume stays. */
  | { readonly result: 'spared'; readonly volume: PoolVolume; readonly reason: string }
  | { readonly result: 'failed'; readonly volume: PoolVolume; readonly error: PoolkeeperError };

/**
 * Judges every candidate by the deletion rule. Everything in the graph that is not a candidate is a root; so is a
 * candidate that stays for reasons of time, type or sight. The deletions come overlays before bases, the rest behind them.
 * Only when something would be deleted is the kernel asked who has it open.
 *
 * @param causes why a node that is no candidate stays, by node id, for the explanation of what it needs.
 */
export function planSweep(
  candidates: readonly SweepCandidate[],
  graph: UseGraph,
  policy: SweepPolicy,
  causes: ReadonlyMap<string, string> = new Map(),
): readonly Verdict[] {
  const resolver = createResolver(graph.nodes);
  const verdicts = judge(candidates, graph, resolver, policy, causes);
  if (graph.holders === undefined || verdicts.every(({ action }) => action === 'keep')) return verdicts;
  const roots = rootsOf(graph);
  return roots === graph.roots ? verdicts : judge(candidates, { ...graph, roots }, resolver, policy, causes);
}

function judge(
  candidates: readonly SweepCandidate[],
  graph: UseGraph,
  resolver: Resolver,
  policy: SweepPolicy,
  causes: ReadonlyMap<string, string>,
): readonly Verdict[] {
  const byNode = new Map(candidates.map((candidate) => [candidate.node.id, candidate]));
  const outside = graph.nodes.filter((node) => !byNode.has(node.id));
  const kept = new Map(outside.map((node) => [node.id, causes.get(node.id) ?? node.label]));

  const needed = mark(graph, resolver, kept);
  const reasons = new Map(
    candidates.map((candidate) => [candidate.node.id, reasonToKeep(candidate, needed, { graph, policy })]),
  );
  for (const { node } of candidates) if (reasons.get(node.id) !== undefined) kept.set(node.id, node.label);
  const neededByWaiting = mark(graph, resolver, kept);

  const isDoomed = ({ node }: SweepCandidate): boolean =>
    reasons.get(node.id) === undefined && !neededByWaiting.has(node.id);
  const doomed = overlaysFirst(
    candidates.filter(isDoomed).map(({ node }) => node),
    resolver,
  );
  const staying = candidates.filter((candidate) => !isDoomed(candidate));
  return [
    ...doomed.flatMap((node) => toDeletion(byNode.get(node.id))),
    ...staying.map((candidate): Verdict => {
      const reason = reasons.get(candidate.node.id) ?? neededReason(neededByWaiting.get(candidate.node.id));
      return { action: 'keep', volume: candidate.volume, reason };
    }),
  ];
}

/** What tells whether a volume was touched. */
export type VolumeContent = Pick<PoolVolume, 'key' | 'capacityBytes' | 'lengthBytes' | 'modifiedAtMs'>;

/**
 * Whether two looks at a volume saw the same bytes, as far as key, size and time can tell. The allocation cannot: file
 * systems decide on it some time after the bytes were written.
 */
export function isSameContent(a: VolumeContent, b: VolumeContent): boolean {
  return (
    a.key === b.key &&
    a.capacityBytes === b.capacityBytes &&
    a.lengthBytes === b.lengthBytes &&
    a.modifiedAtMs === b.modifiedAtMs
  );
}

/** The periods that have to pass before a volume may go, whatever else is true of it. */
export function waitsOf(
  volume: Pick<PoolVolume, 'modifiedAtMs'>,
  lastNeededAt: number,
  { now, graceMs, minAgeMs, livedSince = (time) => now - time }: SweepPolicy,
): readonly Wait[] {
  const { modifiedAtMs = lastNeededAt } = volume;
  const changedAt = isImpossibleTime(modifiedAtMs, now) ? lastNeededAt : modifiedAtMs;
  const waits = [
    { kind: 'grace', since: lastNeededAt, periodMs: graceMs },
    { kind: 'young', since: changedAt, periodMs: minAgeMs },
  ] as const;
  return waits.flatMap(({ kind, since, periodMs }): readonly Wait[] => {
    const leftMs = periodMs - livedSince(since);
    // A period of zero is over at once, even if the clock of the file system is ahead of ours.
    return periodMs > 0 && leftMs > 0 ? [{ kind, eligibleAt: now + leftMs }] : [];
  });
}

/** How far two clocks that are meant to agree, such as a file server's and ours, may be apart. */
const CLOCK_SKEW_MS = 86_400_000;

/** Whether a time lies so far ahead that one of the clocks was wrong: nothing may wait for it, it could be years. */
export function isImpossibleTime(time: number, now: number): boolean {
  return time - now > CLOCK_SKEW_MS;
}

function toDeletion(candidate: SweepCandidate | undefined): readonly Verdict[] {
  return candidate === undefined ? [] : [{ action: 'delete', volume: candidate.volume }];
}

function neededReason(need: Need | undefined): KeepReason {
  if (need === undefined) throw new TypeError('a volume stays without a reason');
  return { kind: 'needed', need };
}

/** The first clause of the deletion rule that a candidate fails; `undefined` when it passes all of them. */
function reasonToKeep(
  { volume, node, lastNeededAt }: SweepCandidate,
  needed: ReadonlyMap<string, Need>,
  { graph, policy }: { graph: UseGraph; policy: SweepPolicy },
): KeepReason | undefined {
  const need = needed.get(node.id);
  if (need !== undefined) return { kind: 'needed', need };
  const [wait] = waitsOf(volume, lastNeededAt, policy);
  if (wait !== undefined) return wait;
  if (volume.type !== 'file' && volume.type !== 'block') return { kind: 'volume type' };
  const blindSpots = graph.blindSpots.filter((blindSpot) => concerns(blindSpot, node));
  return blindSpots.length > 0 ? { kind: 'unseen', blindSpots } : undefined;
}
