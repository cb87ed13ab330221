import type { Identity } from './identity.ts';
import type { BlindSpot } from './reference.ts';
import type { RetainReason } from './retention.ts';
import {
  concerns,
  createResolver,
  type GraphNode,
  type GraphRoot,
  reachedFrom,
  type Resolver,
  rootsOf,
  type UseGraph,
} from './use-graph.ts';

/** `unknown`: something about it cannot be read, or another pool has it as well. */
export type HeldReason = RetainReason | 'unknown';

/** A managed volume, with the space that it takes up by itself: what it stands on is counted there. */
export interface MeasuredImage {
  readonly node: GraphNode;
  readonly volumeName: string;
  readonly allocationBytes: bigint;
  readonly identity: Identity;
  /** Why it stays whoever needs it; `undefined`: it can go once nothing needs it. */
  readonly held: HeldReason | undefined;
}

/**
 * Whom the bytes of an image are there for: one user, several, nobody at all, or nobody though it stays all the same.
 * `unseen`: something that could not be seen may need it.
 */
export type UseKind = 'exclusive' | 'shared' | 'reclaimable' | 'held' | 'unseen';

/** An image, and for whom it is there. */
export interface ImageUsage {
  readonly image: MeasuredImage;
  readonly kind: UseKind;
  /** What needs it: domains and other roots, files that nothing else needs, images that stay for their own sake. */
  readonly users: readonly string[];
}

/** Something that needs images, and what would be gained without it. */
export interface UserUsage {
  readonly user: string;
  /** All that it needs. */
  readonly images: readonly MeasuredImage[];
  /** What nothing else needs. */
  readonly exclusive: readonly MeasuredImage[];
  /** Of these, what could go as well if the user did. */
  readonly freed: readonly MeasuredImage[];
}

/** Who needs how much of a pool's images. */
export interface SpaceUsage {
  readonly images: readonly ImageUsage[];
  readonly users: readonly UserUsage[];
}

/** Something that keeps what can be reached from it. */
interface Keeper {
  readonly label: string;
  /** A user; an image that stays for its own sake; or a process or device that has a file open. */
  readonly kind: 'user' | 'image' | 'holder';
  readonly reached: ReadonlySet<GraphNode>;
}

/**
 * Measures who needs how much. Each volume counts once, by its own bytes, wherever it stands in a chain. What a root reaches
 * through other files counts for the root; a file that no root reaches, such as the disk of a domain that is no more, is a
 * user itself.
 */
export function measureUsage(graph: UseGraph, images: readonly MeasuredImage[]): SpaceUsage {
  const keepers = keepersOf(graph, images);
  const measured = images.map((image) => measureImage(image, keepers, graph.blindSpots));
  const users = keepers.filter(({ kind }) => kind !== 'image').map(({ label }) => measureUser(label, measured));
  return { images: measured, users: users.filter(({ images: needed }) => needed.length > 0) };
}

/** The bytes of images. */
export function bytesOf(images: readonly MeasuredImage[]): bigint {
  let sum = 0n;
  for (const { allocationBytes } of images) sum += allocationBytes;
  return sum;
}

function measureImage(image: MeasuredImage, keepers: readonly Keeper[], blindSpots: readonly BlindSpot[]): ImageUsage {
  const users = namesOf(keepers.filter(({ reached }) => reached.has(image.node)));
  if (users.length > 0) return { image, kind: users.length === 1 ? 'exclusive' : 'shared', users };
  if (image.held !== undefined) return { image, kind: 'held', users };
  const isUnseen = blindSpots.some((blindSpot) => concerns(blindSpot, image.node));
  return { image, kind: isUnseen ? 'unseen' : 'reclaimable', users };
}

/** A process that has a file open counts only where nobody else is known: a running domain has one as well. */
function namesOf(keepers: readonly Keeper[]): readonly string[] {
  const others = keepers.filter(({ kind }) => kind !== 'holder');
  return (others.length > 0 ? others : keepers).map(({ label }) => label).toSorted();
}

function measureUser(label: string, measured: readonly ImageUsage[]): UserUsage {
  const needed = measured.filter(({ users }) => users.includes(label));
  const exclusive = needed.filter(({ kind }) => kind === 'exclusive').map(({ image }) => image);
  const freed = exclusive.filter(({ held }) => held === undefined);
  return { user: label, images: needed.map(({ image }) => image), exclusive, freed };
}

function keepersOf(graph: UseGraph, images: readonly MeasuredImage[]): readonly Keeper[] {
  const resolver = createResolver(graph.nodes);
  const roots = rootKeepers(graph, resolver);
  const managed = new Set(images.map(({ node }) => node));
  const known = new Set(roots.flatMap(({ reached }) => [...reached]));
  const strays = graph.nodes.filter((node) => !managed.has(node) && !known.has(node));
  const held = images.filter((image) => image.held !== undefined);
  return [
    ...roots,
    ...strayKeepers(strays, resolver),
    ...held.map(({ node }) => {
      // An image does not keep itself: it needs what it stands on.
      const reached = reachedFrom(node.edges, resolver);
      reached.delete(node);
      return { label: node.label, kind: 'image' as const, reached };
    }),
  ];
}

/** A user may have several roots of one name. */
function rootKeepers(graph: UseGraph, resolver: Resolver): readonly Keeper[] {
  const byLabel = new Map<string, GraphRoot[]>();
  for (const root of rootsOf(graph)) byLabel.set(root.label, [...(byLabel.get(root.label) ?? []), root]);
  return [...byLabel].map(([label, own]) => {
    const kind = own.every((root) => root.kind === 'holder') ? 'holder' : 'user';
    const edges = own.flatMap((root) => root.edges);
    return { label, kind, reached: reachedFrom(edges, resolver) };
  });
}

/** Of files that no root needs, those that no other of them needs; of a ring of files, the first. */
function strayKeepers(strays: readonly GraphNode[], resolver: Resolver): readonly Keeper[] {
  const reachedBy = new Map(strays.map((node) => [node, reachedFrom(node.edges, resolver)]));
  const inner = new Set(strays.flatMap((node) => [...(reachedBy.get(node) ?? [])].filter((other) => other !== node)));
  const covered = new Set<GraphNode>();
  const keepers: Keeper[] = [];
  const outerFirst = [...strays.filter((node) => !inner.has(node)), ...strays.filter((node) => inner.has(node))];
  for (const node of outerFirst) {
    const reached = reachedBy.get(node);
    if (reached === undefined || covered.has(node)) continue;
    for (const each of reached) covered.add(each);
    keepers.push({ label: node.label, kind: 'user', reached });
  }
  return keepers;
}
