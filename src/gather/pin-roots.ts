import { identityText } from '../core/identity.ts';
import { isPinned, type ImageRecord } from '../core/record.ts';
import { volumeToken } from '../core/reference-tokens.ts';
import type { GraphRoot } from '../core/use-graph.ts';
import type { PoolView } from './pool-view.ts';
import type { GatheredGraph } from './use-graph.ts';

/** The graph with a root for every pin of the view's pool that holds at a moment. */
export function withPins(gathered: GatheredGraph, view: PoolView, now: number): GatheredGraph {
  const pins = [...view.records.values()].filter((record) => isPinned(record, now));
  const roots = pins.map((record) => pinRoot(record, view.pool.name));
  return { ...gathered, graph: { ...gathered.graph, roots: [...gathered.graph.roots, ...roots] } };
}

function pinRoot({ pin, volumeName, identity }: ImageRecord, pool: string): GraphRoot {
  const reason = pin?.reason === undefined ? '' : ` (${pin.reason})`;
  const until = pin?.until === undefined ? '' : ` until ${new Date(pin.until).toISOString()}`;
  const document = `record of image ${identityText(identity)}`;
  const reference = { kind: 'volume', pool, value: volumeName, evidence: 'pin' } as const;
  return {
    label: `the administrator's lock${reason}${until}`,
    edges: [{ reference, document, tokens: [volumeToken(pool, volumeName)] }],
  };
}
