import {
  type Edge,
  createResolver,
  type GraphNode,
  type GraphRoot,
  overlaysFirst,
  reachedFrom,
  rootsOf,
  type UseGraph,
} from './use-graph.ts';

/** Something that uses an image: a domain, or whatever else stands at the end of a chain. */
export interface ImageUser {
  readonly label: string;
  readonly kind: 'domain' | 'pool' | 'holder' | 'lease' | 'volume';
}

/**
 * Who uses each image of a graph, by node id: every root that reaches it, and images that stand on it which nothing else
 * reaches. An administrator's lock is no user. A process that holds a file open counts only where nobody else is known: a
 * running domain has one as well.
 */
export function usersOf(graph: UseGraph): ReadonlyMap<string, readonly ImageUser[]> {
  const resolver = createResolver(graph.nodes);
  const users = new Map<string, ImageUser[]>();
  const reached = new Set<GraphNode>();
  for (const root of rootsOf(graph).filter(({ kind }) => kind !== 'pin')) {
    for (const node of reachedFrom(root.edges, resolver)) {
      reached.add(node);
      addUser(users, node, { label: root.label, kind: kindOf(root) });
    }
  }
  for (const start of overlaysFirst(graph.nodes, resolver)) {
    if (reached.has(start)) continue;
    // Two names of one file do not stand on each other.
    for (const node of reachedFrom(start.edges, resolver, ({ isAlias = false }) => !isAlias)) {
      if (node === start) continue;
      reached.add(node);
      addUser(users, node, { label: start.label, kind: 'volume' });
    }
  }
  return new Map([...users].map(([id, all]) => [id, withoutShadows(all)]));
}

function kindOf({ kind = 'domain' }: GraphRoot): Exclude<ImageUser['kind'], 'volume'> {
  return kind === 'pin' ? 'lease' : kind;
}

function addUser(users: Map<string, ImageUser[]>, node: GraphNode, user: ImageUser): void {
  const known = users.get(node.id);
  if (known === undefined) users.set(node.id, [user]);
  else if (!known.some(({ label }) => label === user.label)) known.push(user);
}

function withoutShadows(users: readonly ImageUser[]): readonly ImageUser[] {
  const others = users.filter(({ kind }) => kind !== 'holder');
  return (others.length > 0 ? others : users).toSorted((a, b) => (a.label < b.label ? -1 : 1));
}

/** The images that stand directly on one. */
export function overlaysOn(base: GraphNode, { nodes }: Pick<UseGraph, 'nodes'>): readonly GraphNode[] {
  const resolver = createResolver(nodes);
  const standsOnIt = (edge: Edge): boolean => edge.isAlias !== true && resolver.targets(edge).includes(base);
  return nodes.filter((node) => node !== base && node.edges.some(standsOnIt));
}
