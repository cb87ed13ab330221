import type { AbsentName, BlindSpot, Reference } from './reference.ts';

/**
 * Something that stands for one file, device or network name, however it is spelled: `inode:…`, `path:…`, `volume:…`.
 * Two nodes that share a token are the same bytes, or a link to them: whoever needs one needs both.
 */
export type Token = string;

/** A reference, and what it may mean. */
export interface Edge {
  readonly reference: Reference;
  /** What the reference stands in, e.g. `domain web1, inactive XML` or `volume default/base.qcow2, qcow2 header`. */
  readonly document: string;
  readonly tokens: readonly Token[];
  /** The document says that the image is opened as raw bytes: no other image can stand behind it. */
  readonly isRaw?: boolean;
  /**
   * The formats in which the document opens it as an image: `''` where it states none, `auto` where QEMU looks at the first bytes.
   * `undefined` where it opens no image: a serial port, a kernel's log, a device.
   */
  readonly formats?: readonly string[];
  /** The document says what the image stands on, whatever its header says. */
  readonly isFixed?: boolean;
  /** The document tells what was, and may be again: a snapshot, a checkpoint, a saved state. */
  readonly isHistorical?: boolean;
  /** It leads to another name of the same file, and neither stands on the other. */
  readonly isAlias?: boolean;
}

/** A volume, or an image file outside every pool. */
export interface GraphNode {
  readonly id: string;
  /** What the user would call it. */
  readonly label: string;
  readonly tokens: readonly Token[];
  /** Normalised absolute paths, for references to directories and for free text. */
  readonly paths: readonly string[];
  /** Whether it is a directory, and so is needed by whatever needs something below it. */
  readonly isDirectory: boolean;
  /** What its header and its volume XML name. */
  readonly edges: readonly Edge[];
}

/** What a root is: somebody who uses images, or an order to keep one. */
export type RootKind = 'domain' | 'pool' | 'holder' | 'lease' | 'pin';

/** What comes from outside the images: a domain, a lease, a pin. */
export interface GraphRoot {
  readonly label: string;
  /** By default a domain; a holder is a process or a device that has a file open. */
  readonly kind?: RootKind;
  readonly edges: readonly Edge[];
  /** It is a lease or a pin, which no force overrides. */
  readonly isClaim?: boolean;
}

/**
 * What a name that leads to nothing means.
 * - `unanswered`: it may be an image that stands on others, and nobody can tell on which
 * - `bytes`: opened as raw bytes, so nothing can stand behind it; it may be a volume that goes by the same name elsewhere
 * - `gone`: somebody who knows said so
 * - `no image`: named where no image is opened
 */
export type AbsenceVerdict = 'unanswered' | 'bytes' | 'gone' | 'no image';

/** A name that leads to nothing, and everything that names it. */
export interface Absence {
  readonly name: AbsentName;
  readonly edges: readonly Edge[];
  /** What is to be seen in its place, for a message. */
  readonly cause: string;
  readonly verdict: AbsenceVerdict;
}

/** Everything that was gathered about who needs what. */
export interface UseGraph {
  readonly nodes: readonly GraphNode[];
  readonly roots: readonly GraphRoot[];
  /** What could not be seen; nothing that one of them concerns may be deleted. */
  readonly blindSpots: readonly BlindSpot[];
  /** Every name that leads to nothing, those included that an administrator has answered for. */
  readonly absences?: readonly Absence[];
  /**
   * Asks the kernel who has images open: more roots, which take time to find. They only give names to users; that nobody is
   * found proves nothing. `undefined`: the kernel is not to be asked, or not this host's.
   */
  readonly holders?: (this: void) => readonly GraphRoot[];
}

/** All roots of a graph, those included that the kernel has to be asked for. */
export function rootsOf({ roots, holders }: Pick<UseGraph, 'roots' | 'holders'>): readonly GraphRoot[] {
  const more = holders?.() ?? [];
  return more.length === 0 ? roots : [...roots, ...more];
}

/** One link of a chain: what needs the next thing, and through which reference. */
export interface Link {
  readonly from: GraphRoot | GraphNode;
  readonly edge: Edge;
}

/** Why a node is needed. A node that is kept for its own sake has no link. */
export interface Need {
  /** The root, or why the outermost node of the chain is kept. */
  readonly cause: string;
  readonly link: Link | undefined;
  /** Why the thing is needed that this link comes from; `undefined` for a root. */
  readonly parent: Need | undefined;
}

/** Finds the nodes that an edge may mean. */
export interface Resolver {
  targets(edge: Edge): readonly GraphNode[];
}

/** Indexes the nodes of a graph once, so that no edge is resolved twice, nor by a search where a look-up does. */
export function createResolver(nodes: readonly GraphNode[]): Resolver {
  const resolve = createSearch(nodes);
  const known = new Map<Edge, readonly GraphNode[]>();
  return {
    targets: (edge) => {
      const found = known.get(edge) ?? resolve(edge);
      known.set(edge, found);
      return found;
    },
  };
}

function createSearch(nodes: readonly GraphNode[]): (edge: Edge) => readonly GraphNode[] {
  const byToken = indexByToken(nodes);
  const below = indexByFolder(nodes);
  const folders = indexByPath(nodes.filter((node) => node.isDirectory));
  return (edge) => {
    const found = new Set(edge.tokens.flatMap((token) => byToken.get(token) ?? []));
    const { kind, value } = edge.reference;
    for (const path of pathsOf(edge)) {
      if (kind === 'dir') addAll(found, below.get(path));
      for (const folder of foldersAbove(path)) addAll(found, folders.get(folder));
    }
    if (kind === 'text') addAll(found, namedIn(value, nodes));
    return [...found];
  };
}

/**
 * Marks everything that is reachable from the roots of a graph, or from nodes that are kept for a reason of their own.
 * Cycles end because a node is visited once. A node that is absent from the result is not needed; the result is only
 * meaningful together with the graph's blind spots.
 *
 * @param kept nodes that stay in any case, by id, with the cause.
 */
export function mark(
  graph: UseGraph,
  resolver: Resolver,
  kept: ReadonlyMap<string, string>,
): ReadonlyMap<string, Need> {
  const needs = new Map<string, Need>();
  const queue: { readonly node: GraphNode; readonly need: Need }[] = [];
  const add = (node: GraphNode, need: Need): void => {
    if (needs.has(node.id)) return;
    needs.set(node.id, need);
    queue.push({ node, need });
  };
  const reach = (from: GraphRoot | GraphNode, parent: Need | undefined): void => {
    for (const edge of from.edges) {
      const need = { cause: parent?.cause ?? from.label, link: { from, edge }, parent };
      for (const node of resolver.targets(edge)) add(node, need);
    }
  };
  let next = 0;
  const follow = (): void => {
    for (let entry = queue[next]; entry !== undefined; entry = queue[next]) {
      next += 1;
      reach(entry.node, entry.need);
    }
  };
  for (const root of graph.roots) reach(root, undefined);
  // To the end before the kept nodes, so that a domain is named rather than an image on the way from it.
  follow();
  for (const node of graph.nodes) {
    const cause = kept.get(node.id);
    if (cause !== undefined) add(node, { cause, link: undefined, parent: undefined });
  }
  follow();
  return needs;
}

/** Everything that edges lead to, directly or through other nodes, by such edges as are followed: by default all. */
export function reachedFrom(
  edges: readonly Edge[],
  resolver: Resolver,
  isFollowed: (edge: Edge) => boolean = () => true,
): Set<GraphNode> {
  const targets = (from: readonly Edge[]): readonly GraphNode[] =>
    from.filter(isFollowed).flatMap((edge) => resolver.targets(edge));
  const reached = new Set(targets(edges));
  // A set is iterated in the order of insertion, and what is added meanwhile comes last: a queue.
  for (const node of reached) addAll(reached, targets(node.edges));
  return reached;
}

/** The links of a need from the outermost to the innermost. */
export function chainOf(need: Need): readonly Link[] {
  const links: Link[] = [];
  for (let at: Need | undefined = need; at !== undefined; at = at.parent)
    if (at.link !== undefined) links.unshift(at.link);
  return links;
}

/** Whether the need comes from a lease or a pin. */
export function isClaimed(need: Need): boolean {
  const from = chainOf(need)[0]?.from;
  return from !== undefined && 'isClaim' in from && from.isClaim;
}

/** Whether a blind spot could hide a need for this node. */
export function concerns(blindSpot: BlindSpot, node: GraphNode): boolean {
  if (blindSpot.holder === node.id) return false;
  if (blindSpot.concerns === 'everything') return true;
  if ('pool' in blindSpot.concerns) {
    const prefix = `volume:${blindSpot.concerns.pool}/`;
    return node.tokens.some((token) => token.startsWith(prefix));
  }
  return blindSpot.concerns.some(({ value }) => namedIn(value, [node]).length > 0);
}

/** Orders nodes so that what stands on another comes before it; within a cycle there is no order. */
export function overlaysFirst(nodes: readonly GraphNode[], resolver: Resolver): readonly GraphNode[] {
  const inSet = new Set(nodes);
  const ordered: GraphNode[] = [];
  const seen = new Set<GraphNode>();
  const visit = (start: GraphNode): void => {
    const stack: { node: GraphNode; bases: GraphNode[] }[] = [];
    const enter = (node: GraphNode): void => {
      if (seen.has(node) || !inSet.has(node)) return;
      seen.add(node);
      const edges = node.edges.filter(({ isAlias = false }) => !isAlias);
      stack.push({ node, bases: edges.flatMap((edge) => resolver.targets(edge)) });
    };
    enter(start);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const base = top.bases.pop();
      if (base !== undefined) enter(base);
      else ordered.unshift((stack.pop() ?? top).node);
    }
  };
  for (const node of nodes.toReversed()) visit(node);
  return ordered;
}

function indexByToken(nodes: readonly GraphNode[]): ReadonlyMap<Token, readonly GraphNode[]> {
  const index = new Map<Token, GraphNode[]>();
  for (const node of nodes) for (const token of node.tokens) addTo(index, token, node);
  return index;
}

/** Every folder above a node, so that a reference to a folder finds what lies below it at any depth. */
function indexByFolder(nodes: readonly GraphNode[]): ReadonlyMap<string, readonly GraphNode[]> {
  const index = new Map<string, GraphNode[]>();
  for (const node of nodes) {
    for (const path of node.paths) for (const folder of foldersAbove(path)) addTo(index, folder, node);
  }
  return index;
}

function indexByPath(nodes: readonly GraphNode[]): ReadonlyMap<string, readonly GraphNode[]> {
  const index = new Map<string, GraphNode[]>();
  for (const node of nodes) for (const path of node.paths) addTo(index, path, node);
  return index;
}

function addAll<T>(set: Set<T>, values: Iterable<T> = []): void {
  for (const value of values) set.add(value);
}

function addTo<K, V>(index: Map<K, V[]>, key: K, value: V): void {
  const list = index.get(key);
  if (list === undefined) index.set(key, [value]);
  else list.push(value);
}

/** `/a/b/c` lies below `/a/b`, `/a` and `/`. */
function foldersAbove(path: string): readonly string[] {
  const folders: string[] = [];
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) folders.push(path.slice(0, at));
  return path.startsWith('/') ? [...folders, '/'] : folders;
}

function pathsOf(edge: Edge): readonly string[] {
  return edge.tokens.flatMap((token) => (token.startsWith('path:') ? [token.slice(5)] : []));
}

/** The nodes whose path a free text contains, or whose name it contains as a word of its own. */
function namedIn(text: string, nodes: readonly GraphNode[]): readonly GraphNode[] {
  const readings = readingsOf(text);
  return nodes.filter((node) => node.paths.some((path) => readings.some((reading) => isNamed(reading, path))));
}

/**
 * A text as it stands, and as those read it who write a comma twice (QEMU), a character in per cent (URIs), or a slash
 * with a backslash (JSON). White space is alike, since XML parsers return a blank for a line break.
 */
function readingsOf(text: string): readonly string[] {
  const blank = withBlanks(text);
  const readings = [blank];
  if (blank.includes(',,')) readings.push(blank.replaceAll(',,', ','));
  if (blank.includes('\\/')) readings.push(blank.replaceAll('\\/', '/'));
  if (/%[0-9a-f]{2}/i.test(blank)) readings.push(percentDecoded(blank));
  return readings;
}

function withBlanks(text: string): string {
  return /[^\S ]/.test(text) ? text.replaceAll(/\s/g, ' ') : text;
}

function percentDecoded(text: string): string {
  return text.replaceAll(/(?:%[0-9a-f]{2})+/gi, (bytes) => {
    try {
      return decodeURIComponent(bytes);
    } catch {
      return bytes;
    }
  });
}

/** A path can only be in a text that has its last part, which is the quickest to look for. */
function isNamed(text: string, path: string): boolean {
  const written = withBlanks(path);
  const name = written.slice(written.lastIndexOf('/') + 1);
  return text.includes(name) && (text.includes(written) || containsWord(text, name));
}

function containsWord(text: string, word: string): boolean {
  if (word === '') return false;
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + 1)) {
    const [before, after] = [text[at - 1] ?? ' ', text[at + word.length] ?? ' '];
    if (!/[\p{L}\p{N}]/u.test(before) && !/[\p{L}\p{N}]/u.test(after)) return true;
  }
  return false;
}
