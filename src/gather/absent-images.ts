import { posix } from 'node:path';
import { absenceKey } from '../core/absent-name.ts';
import { baseNameToken, isExactToken, volumeToken } from '../core/reference-tokens.ts';
import type { AbsentName, BlindSpot } from '../core/reference.ts';
import type { Absence, Edge, GraphNode, GraphRoot, Token } from '../core/use-graph.ts';
import { absenceSpot, isUnlike, judgeAbsence } from '../usage/absence.ts';
import { type Draft, type DraftNode, pathOf } from './draft.ts';
import type { HeaderReading } from './image-edges.ts';

/** A root while the graph is being gathered. */
export interface DraftRoot extends GraphRoot {
  readonly edges: Edge[];
}

/** A header, read from another folder by which its image is opened. */
export interface OtherReading {
  readonly path: string;
  readonly edges: readonly Edge[];
}

/** What was read of images: what their headers name, and what their first bytes show. */
export interface Explored {
  readonly headers: Map<DraftNode, readonly Edge[]>;
  /** The same headers, read from other folders by which the images are opened. */
  readonly others: Map<DraftNode, readonly OtherReading[]>;
  readonly contents: Map<DraftNode, Pick<HeaderReading, 'format' | 'isEmpty'>>;
}

/**
 * Notes as absent what is there and is no image, although it is said to be one in a format that shows: an empty file, a stray
 * file in a place where nothing is mounted, a device to which nothing is attached.
 */
export function missUnlikeImages(
  edges: readonly Edge[],
  { contents }: Explored,
  { draft }: { readonly draft: Draft },
): void {
  const plain = new Map<Token, { readonly isEmpty: boolean }>();
  for (const [node, { format, isEmpty }] of contents) {
    if (format === 'raw') for (const token of node.tokens.filter(isExactToken)) plain.set(token, { isEmpty });
  }
  for (const edge of edges) {
    for (const token of edge.formats === undefined ? [] : edge.tokens.filter(isExactToken)) {
      const found = plain.get(token);
      const name = found && isUnlike(edge, { hasMagic: false, ...found }) ? nameOf(edge) : undefined;
      if (name === undefined) continue;
      const [format] = edge.formats ?? [];
      draft.missName(name, edge, `what is there is ${found?.isEmpty === true ? 'empty' : 'raw'}, and not ${format}`);
      break;
    }
  }
}

function nameOf({ reference }: Edge): AbsentName | undefined {
  switch (reference.kind) {
    case 'path':
      return { kind: 'path', path: pathOf(reference) ?? reference.value };
    case 'volume':
      return { kind: 'volume', pool: reference.pool, volume: reference.value };
    case 'network':
      return { kind: 'network', protocol: reference.protocol, name: reference.value };
    case 'dir':
    case 'text':
      return undefined;
  }
}

/**
 * Images whose chain leads back to itself: no image is its own base, so what they stood on before stands nowhere any more. Only
 * formats whose headers name nothing but a base and a data file are looked at; a VMDK names its own extents.
 */
export function circularChains({ headers, contents }: Explored): readonly BlindSpot[] {
  const isChained = (node: DraftNode): boolean => /^(?:qcow2?|qed)$/.test(contents.get(node)?.format ?? '');
  const chained = new Map([...headers].filter(([node, edges]) => edges.length > 0 && isChained(node)));
  const byToken = new Map<Token, DraftNode[]>();
  for (const node of chained.keys()) {
    for (const token of node.tokens.filter(isExactToken)) byToken.set(token, [...(byToken.get(token) ?? []), node]);
  }
  const bases = new Map<DraftNode, ReadonlySet<DraftNode>>();
  for (const [node, edges] of chained) {
    const tokens = edges.flatMap((edge) => (edge.reference.kind === 'path' ? edge.tokens.filter(isExactToken) : []));
    bases.set(node, new Set(tokens.flatMap((token) => byToken.get(token) ?? [])));
  }
  // A chain ends if all its bases end. Whatever is left in the end goes round.
  const left = new Set(chained.keys());
  for (let before = -1; before !== left.size;) {
    before = left.size;
    for (const node of left) {
      if (![...(bases.get(node) ?? [])].some((base) => left.has(base))) left.delete(node);
    }
  }
  return [...left].map((node) => ({
    what: node.label,
    cause: 'its chain of bases leads back to itself, so nobody can tell what it stood on before',
    remedy: `restore it, give it its base with 'qemu-img rebase -u', or delete it`,
    concerns: 'everything',
    holder: node.id,
  }));
}

/**
 * Judges every name that leads to nothing. The unanswered ones become blind spots; what is opened as raw bytes needs whatever
 * volume goes by the same name.
 *
 * @param forgotten the names that an administrator has answered for, as keys.
 */
export function judgeAbsences(
  draft: Draft,
  domains: readonly DraftRoot[],
  { explored, forgotten }: { readonly explored: Explored; readonly forgotten: ReadonlySet<string> },
): readonly Absence[] {
  const { absences, nodes } = draft;
  if (absences.length === 0) return [];
  const owners = ownersOf(absences, [...domains, ...nodes]);
  const isFound = foundElsewhere(absences, domains, explored);
  return absences.flatMap((absence): readonly Absence[] => {
    const { name } = absence;
    const edges = absence.edges.filter((edge) => !isFound(edge, owners.get(edge)));
    if (edges.length === 0) return [];
    const answer = forgotten.has(absenceKey(name)) ? ({ by: 'forgotten' } as const) : undefined;
    const verdict = judgeAbsence({ name, edges, answer });
    const judged = { ...absence, edges, verdict };
    const naming = new Set(edges.map((edge) => owners.get(edge)));
    const [only] = naming;
    const holder = naming.size === 1 && only !== undefined && 'id' in only ? only.id : undefined;
    if (verdict === 'unanswered') draft.miss(absenceSpot(judged, holder));
    if (verdict === 'bytes') for (const edge of edges) owners.get(edge)?.edges.push(alike(edge, name));
    return [judged];
  });
}

/**
 * A relative name leads to another place from each path of an image that has several. It is found where one of them finds something
 * there: that is how the image is used. But a path by which a document opens the image is how it is used as well.
 */
function foundElsewhere(
  absences: readonly Pick<Absence, 'edges'>[],
  domains: readonly DraftRoot[],
  { headers, others }: Explored,
): (edge: Edge, owner: DraftRoot | DraftNode | undefined) => boolean {
  const absent = new Set(absences.flatMap(({ edges }) => edges));
  const byInode = new Map<Token, DraftNode[]>();
  for (const node of headers.keys()) {
    for (const token of node.tokens.filter((each) => each.startsWith('inode:')))
      byInode.set(token, [...(byInode.get(token) ?? []), node]);
  }
  const readingsOf = (node: DraftNode): readonly (readonly Edge[])[] => [
    ...(headers.has(node) ? [headers.get(node) ?? []] : []),
    ...(others.get(node) ?? []).map(({ edges }) => edges),
  ];
  const readings = [...headers.values(), ...[...others.values()].flat().map(({ edges }) => edges)];
  const named = new Set<string>();
  for (const { reference } of [...domains.map(({ edges }) => edges), ...readings].flat()) {
    if (reference.kind === 'path') named.add(posix.normalize(pathOf(reference) ?? reference.value));
    if (reference.kind === 'volume') named.add(volumeToken(reference.pool, reference.value));
  }
  /** Whether a document opens the image by the path from whose folder the name starts in this reading. */
  const isUsed = (edge: Edge, owner: DraftNode): boolean => {
    const { file, volume } = owner.content;
    const isOfHeader = headers.get(owner)?.includes(edge) === true;
    const paths = (others.get(owner) ?? []).flatMap(({ path, edges }) => (edges.includes(edge) ? [path] : []));
    if (isOfHeader && typeof file === 'string') paths.push(file);
    const isByVolume = isOfHeader && volume !== undefined && named.has(volumeToken(volume.pool, volume.name));
    return isByVolume || paths.some((path) => named.has(posix.normalize(path)));
  };
  return (edge, owner) => {
    if (owner === undefined || !('content' in owner)) return false;
    const at = readingsOf(owner)
      .map((edges) => edges.indexOf(edge))
      .find((index) => index >= 0);
    if (at === undefined || isUsed(edge, owner)) return false;
    const names = new Set([owner, ...owner.tokens.flatMap((token) => byInode.get(token) ?? [])]);
    return [...names].flatMap(readingsOf).some((edges) => {
      const other = edges[at];
      return other !== undefined && other.reference.value !== edge.reference.value && !absent.has(other);
    });
  };
}

/** Finds the roots and nodes that name what is absent. */
function ownersOf(
  absences: readonly Pick<Absence, 'edges'>[],
  all: readonly (DraftRoot | DraftNode)[],
): ReadonlyMap<Edge, DraftRoot | (DraftNode & GraphNode)> {
  const wanted = new Set(absences.flatMap(({ edges }) => edges));
  const owners = new Map<Edge, DraftRoot | DraftNode>();
  for (const owner of all) for (const edge of owner.edges) if (wanted.has(edge)) owners.set(edge, owner);
  return owners;
}

/** The reference once more, to every volume that has the last component of the name for its own. */
function alike({ reference, document, formats = [] }: Edge, name: AbsentName): Edge {
  const last = name.kind === 'path' ? name.path : name.kind === 'volume' ? name.volume : name.name;
  return { reference, document, formats, tokens: [baseNameToken(last)] };
}
