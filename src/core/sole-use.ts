import { type Chain, chainsTo } from './chains.ts';
import { concerns, type GraphNode, type UseGraph } from './use-graph.ts';
import type { BlindSpot } from './reference.ts';

/** Why a volume must not get another content now. */
export interface SoleUse {
  /** What has it open, could wake up with it open, or stands on it. */
  readonly obstacles: readonly Chain[];
  /** What could not be seen and may be such an obstacle. */
  readonly blindSpots: readonly BlindSpot[];
}

/**
 * Looks for whatever would be harmed if a volume got another content under its name. Only the inactive definition of a
 * domain that opens it as an image is harmless, and so is a pin where the content itself is kept.
 */
export function soleUseOf(node: GraphNode, graph: UseGraph, isContentKept: boolean): SoleUse {
  const others = graph.nodes.filter((other) => other !== node);
  const chains = chainsTo(node, graph, new Map(others.map(({ id, label }) => [id, label])));
  return {
    obstacles: chains.filter((chain) => !isDefinition(chain) && !(isContentKept && isPin(chain))),
    blindSpots: graph.blindSpots.filter((blindSpot) => concerns(blindSpot, node)),
  };
}

/** A domain that is shut off opens the volume by its name, and finds what is there by then. */
function isDefinition({ links: [link, ...others] }: Chain): boolean {
  if (link === undefined || others.length > 0) return false;
  const { isRaw = false, isFixed = false } = link.edge;
  return !isRaw && !isFixed && link.edge.document === `${link.from.label}, inactive XML`;
}

function isPin({ links: [link, ...others] }: Chain): boolean {
  if (link === undefined || others.length > 0 || !('isClaim' in link.from)) return false;
  return link.edge.reference.evidence === 'pin';
}
