import { createResolver, type GraphNode, type GraphRoot, type Link, rootsOf, type UseGraph } from './use-graph.ts';

/** One link of a chain, with both of its ends. */
export interface ChainLink extends Link {
  readonly to: GraphNode;
}

/** A way from something that stays down to a node that it needs. */
export interface Chain {
  /** The label of the root, or why the image stays that the chain begins with. */
  readonly cause: string;
  /** From the outermost to the innermost; never empty. */
  readonly links: readonly ChainLink[];
}

/** The nodes from which a target can be reached, nearest first, each with its next link towards the target. */
type Ways = ReadonlyMap<GraphNode, ChainLink | undefined>;

/**
 * Every chain that keeps a node: a shortest one for each reference of a root that leads to it. Images that stay for a
 * reason of their own begin a chain where nothing else that was named already leads through them. A search backwards
 * from the node visits each image once, so cycles end, and many ways through few images stay few chains.
 *
 * @param kept why nodes stay that nothing has to need, by id
 */
export function chainsTo(target: GraphNode, graph: UseGraph, kept: ReadonlyMap<string, string>): readonly Chain[] {
  const resolver = createResolver(graph.nodes);
  const linksOf = (from: GraphRoot | GraphNode): ChainLink[] =>
    from.edges
      .flatMap((edge) => resolver.targets(edge).map((to) => ({ from, edge, to })))
      .filter(({ to }) => to !== from);
  const outgoing = new Map(graph.nodes.map((node) => [node, linksOf(node)]));
  const ways = waysTo(target, outgoing);
  const fromRoots = rootsOf(graph).flatMap((root) => firstPerEdge(linksOf(root), ways));
  const covered = new Set<GraphNode>();
  for (const { to } of fromRoots) cover(to, outgoing, covered);
  return [
    ...fromRoots.map((link) => toChain(link.from.label, link, ways)),
    ...chainsOfKept({ ways, kept, outgoing, covered }),
  ];
}

function waysTo(target: GraphNode, outgoing: ReadonlyMap<GraphNode, readonly ChainLink[]>): Ways {
  const incoming = new Map<GraphNode, { from: GraphNode; link: ChainLink }[]>();
  for (const [from, links] of outgoing) {
    for (const link of links) {
      const known = incoming.get(link.to);
      if (known === undefined) incoming.set(link.to, [{ from, link }]);
      else known.push({ from, link });
    }
  }
  const ways = new Map<GraphNode, ChainLink | undefined>([[target, undefined]]);
  // A map is iterated in the order of insertion, and what is added meanwhile comes last: a queue.
  for (const [node] of ways) {
    for (const { from, link } of incoming.get(node) ?? []) if (!ways.has(from)) ways.set(from, link);
  }
  return ways;
}

/** A reference to a folder may lead to several images of one chain: the nearest to the target tells enough. */
function firstPerEdge(links: readonly ChainLink[], ways: Ways): readonly ChainLink[] {
  const order = new Map([...ways.keys()].map((node, index) => [node, index]));
  const nearest = new Map<Link['edge'], ChainLink>();
  for (const link of links) {
    const rank = order.get(link.to);
    const best = nearest.get(link.edge);
    if (rank !== undefined && (best === undefined || rank < (order.get(best.to) ?? 0))) nearest.set(link.edge, link);
  }
  return [...nearest.values()];
}

/** The farthest first: on their way they cover the others. */
function chainsOfKept({
  ways,
  kept,
  outgoing,
  covered,
}: {
  readonly ways: Ways;
  readonly kept: ReadonlyMap<string, string>;
  readonly outgoing: ReadonlyMap<GraphNode, readonly ChainLink[]>;
  readonly covered: Set<GraphNode>;
}): readonly Chain[] {
  const chains: Chain[] = [];
  for (const [node, link] of [...ways].toReversed()) {
    const cause = kept.get(node.id);
    if (link === undefined || cause === undefined || covered.has(node)) continue;
    cover(node, outgoing, covered);
    chains.push(toChain(cause, link, ways));
  }
  return chains;
}

/** Adds a node and all that it needs. */
function cover(
  start: GraphNode,
  outgoing: ReadonlyMap<GraphNode, readonly ChainLink[]>,
  covered: Set<GraphNode>,
): void {
  const waiting = [start];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (covered.has(node)) continue;
    covered.add(node);
    for (const { to } of outgoing.get(node) ?? []) waiting.push(to);
  }
}

function toChain(cause: string, first: ChainLink, ways: Ways): Chain {
  const links: ChainLink[] = [];
  for (let link: ChainLink | undefined = first; link !== undefined; link = ways.get(link.to)) links.push(link);
  return { cause, links };
}
