import { type Chain, chainsTo } from './chains.ts';
import type { BlindSpot } from './reference.ts';
import { planSweep, type SweepCandidate, type SweepPolicy, type Wait, waitsOf } from './sweep-plan.ts';
import { concerns, type GraphNode, type UseGraph } from './use-graph.ts';

/** Everything that speaks for keeping an image. If nothing does, the next sweep deletes it. */
export interface Explanation {
  readonly chains: readonly Chain[];
  /** Why it stays whoever needs it; `undefined` for an image that waits to be deleted. */
  readonly cause: string | undefined;
  /** Periods that have to pass first. */
  readonly waits: readonly Wait[];
  /** Whether it is of a type that is never deleted. */
  readonly isOfLastingType: boolean;
  /** What could not be seen and might need it. */
  readonly blindSpots: readonly BlindSpot[];
}

/** What a sweep of a pool rests on. */
export interface SweepView {
  readonly graph: UseGraph;
  readonly candidates: readonly SweepCandidate[];
  /** Why nodes stay that are no candidates, by id. */
  readonly causes: ReadonlyMap<string, string>;
  readonly policy: SweepPolicy;
}

/** Explains what becomes of a node by the very rule that sweeps follow. */
export function explain(node: GraphNode, view: SweepView): Explanation {
  const { graph, causes, policy } = view;
  const candidate = view.candidates.find((each) => each.node === node);
  return {
    chains: chainsTo(node, graph, keptNodes(view)).toSorted((a, b) => (a.cause < b.cause ? -1 : 1)),
    cause: candidate === undefined ? (causes.get(node.id) ?? 'no active storage pool holds it') : undefined,
    waits: candidate === undefined ? [] : waitsOf(candidate.volume, candidate.lastNeededAt, policy),
    isOfLastingType: candidate !== undefined && !['file', 'block'].includes(candidate.volume.type),
    blindSpots: graph.blindSpots.filter((blindSpot) => concerns(blindSpot, node)),
  };
}

/** What stays for its own sake: everything that is no candidate, and candidates that have to wait. */
function keptNodes({ graph, candidates, causes, policy }: SweepView): ReadonlyMap<string, string> {
  const candidateIds = new Map(candidates.map(({ volume, node }) => [volume, node.id]));
  const isCandidate = new Set(candidateIds.values());
  const kept = new Map<string, string>();
  for (const { id, label } of graph.nodes) if (!isCandidate.has(id)) kept.set(id, causes.get(id) ?? label);
  for (const verdict of planSweep(candidates, graph, policy, causes)) {
    const id = candidateIds.get(verdict.volume);
    if (id === undefined || verdict.action === 'delete' || verdict.reason.kind === 'needed') continue;
    kept.set(id, `${verdict.volume.pool}/${verdict.volume.name} is kept for now`);
  }
  return kept;
}
