import type { BlindSpot, Reference } from '../../../src/core/reference.ts';
import type { SweepCandidate } from '../../../src/core/sweep-plan.ts';
import type { Edge, GraphNode, GraphRoot } from '../../../src/core/use-graph.ts';

/** A reference to a path, with the tokens that gathering would give it. */
export function edge(value: string, kind: 'path' | 'dir' | 'text' = 'path', ...more: readonly string[]): Edge {
  const reference: Reference = { kind, value, evidence: 'here' };
  const tokens = kind === 'text' ? [] : [`path:${value}`];
  return { reference, document: 'a document', tokens: [...tokens, ...more] };
}

/** A volume `/pool/NAME` that stands on others, by name. */
export function volume(name: string, bases: readonly string[] = [], more: Partial<GraphNode> = {}): GraphNode {
  const path = `/pool/${name}`;
  const edges = bases.map((base) => edge(`/pool/${base}`));
  return {
    id: name,
    label: `volume ${name}`,
    tokens: [`path:${path}`],
    paths: [path],
    isDirectory: false,
    edges,
    ...more,
  };
}

/** A domain with disks, by name of the volume. */
export function domain(label: string, ...disks: readonly string[]): GraphRoot {
  return { label, edges: disks.map((disk) => edge(`/pool/${disk}`)) };
}

export function blindSpot(concerns: BlindSpot['concerns'] = 'everything', more: Partial<BlindSpot> = {}): BlindSpot {
  return { what: 'domain web1', cause: 'no answer', remedy: 'ask again', concerns, ...more };
}

export function candidate(
  node: GraphNode,
  more: Partial<SweepCandidate['volume']> = {},
  lastNeededAt = 0,
): SweepCandidate {
  const path = node.paths[0] ?? '';
  const size = { capacityBytes: 1n, allocationBytes: 1n, lengthBytes: 1n, modifiedAtMs: 0 };
  return {
    node,
    lastNeededAt,
    volume: { pool: 'pool', name: node.id, key: path, path, type: 'file', ...size, ...more },
  };
}
