import { lstat } from 'node:fs/promises';
import { posix } from 'node:path';
import type { AbsentName, BlindSpot, Reference } from '../core/reference.ts';
import { baseNameToken, nameTokens, servedFileTokens } from '../core/reference-tokens.ts';
import type { Absence, Edge, GraphNode, Token } from '../core/use-graph.ts';
import { absenceKey } from '../core/absent-name.ts';
import type { FileIdentifier, FileIdentity } from './file-identity.ts';

/** A node of the use graph while it is being gathered. */
export interface DraftNode extends GraphNode {
  readonly tokens: Token[];
  readonly paths: string[];
  readonly edges: Edge[];
  readonly isDirectory: boolean;
  /** Where its bytes are. */
  readonly content: Content;
}

/** How the bytes behind a node can be read. */
export interface Content {
  /** On this host; bytes instead of text where the name is not UTF-8. `undefined`: not on this host. */
  readonly file: string | Buffer | undefined;
  /** Through libvirt. */
  readonly volume: { readonly pool: string; readonly name: string } | undefined;
}

interface MissedName {
  readonly name: AbsentName;
  readonly edges: Edge[];
  readonly cause: string;
}

/** A node whose file is opened by a path in another folder as well: relative names in its header start there, too. */
export interface OtherName {
  readonly node: DraftNode;
  readonly path: string;
}

/** The nodes found so far, each directory entry once, however many pools show it. */
export class Draft {
  readonly nodes: DraftNode[] = [];
  /** In the order in which they became known; each folder once for each node. */
  readonly otherNames: OtherName[] = [];
  readonly #foldersOf = new Map<DraftNode, Set<string>>();
  readonly #byEntry = new Map<string, DraftNode>();
  readonly #files = new Set<string>();
  /** Of all nodes, from when they are first asked for: on most hosts nobody asks. */
  #tokens: Set<Token> | undefined;
  readonly #blindSpots = new Map<string, BlindSpot>();

  readonly #absences = new Map<string, MissedName>();

  /** Every name that leads to nothing, each once. */
  get absences(): readonly Omit<Absence, 'verdict'>[] {
    return [...this.#absences.values()];
  }

  /** Notes that an edge leads to nothing; `cause` says what is to be seen instead. */
  missName(name: AbsentName, edge: Edge, cause: string): void {
    const key = absenceKey(name);
    const known = this.#absences.get(key);
    if (known === undefined) this.#absences.set(key, { name, edges: [edge], cause });
    else if (!known.edges.includes(edge)) known.edges.push(edge);
  }

  /** What could not be seen, each thing once. */
  get blindSpots(): readonly BlindSpot[] {
    return [...this.#blindSpots.values()];
  }

  /** Adds a node; if its directory entry is known already, the known node learns the new names. */
  add(entry: string, node: DraftNode): DraftNode {
    if (this.#tokens !== undefined) for (const token of node.tokens) this.#tokens.add(token);
    const known = this.#byEntry.get(entry);
    if (known === undefined) {
      this.#byEntry.set(entry, node);
      this.nodes.push(node);
      return node;
    }
    addMissing(known.tokens, node.tokens);
    addMissing(known.paths, node.paths);
    this.#noteName(known, node);
    return known;
  }

  #noteName(node: DraftNode, { content: { file: path } }: DraftNode): void {
    const { file } = node.content;
    if (typeof path !== 'string' || file === undefined) return;
    const folder = posix.dirname(path);
    const folders = this.#foldersOf.get(node) ?? new Set([posix.dirname(file.toString())]);
    this.#foldersOf.set(node, folders);
    if (folders.has(folder)) return;
    folders.add(folder);
    this.otherNames.push({ node, path });
  }

  /** Adds a node for a file on this host, as `fileNode` does. */
  addFile(path: string, bytes: Buffer, identity: FileIdentity): void {
    this.add(identity.entry ?? path, fileNode(path, bytes, identity));
    if (Buffer.from(path).equals(bytes)) this.#files.add(path);
  }

  /** Whether `addFile` was given the file of just this path. */
  hasFile(path: string): boolean {
    return this.#files.has(path);
  }

  /** Whether something that is there goes by one of these tokens. */
  knows(tokens: readonly Token[]): boolean {
    const all = (this.#tokens ??= new Set(this.nodes.flatMap((node) => node.tokens)));
    return tokens.some((token) => all.has(token));
  }

  /** Tokens of the exact paths of all volumes. */
  get volumePaths(): ReadonlySet<Token> {
    const volumes = this.nodes.filter(({ content }) => content.volume !== undefined);
    return new Set(volumes.flatMap(({ tokens }) => tokens.filter((token) => token.startsWith('path:'))));
  }

  miss(...blindSpots: readonly BlindSpot[]): void {
    for (const blindSpot of blindSpots) {
      const key = JSON.stringify([blindSpot.what, blindSpot.holder]);
      if (!this.#blindSpots.has(key)) this.#blindSpots.set(key, blindSpot);
    }
  }
}

/**
 * A node for a file on this host.
 *
 * @param bytes the path byte by byte; its name may not be UTF-8.
 */
export function fileNode(path: string, bytes: Buffer, identity: FileIdentity): DraftNode {
  const isExact = Buffer.from(path).equals(bytes);
  return {
    id: isExact ? path : `${path} (${bytes.toString('hex')})`,
    label: `file ${path}`,
    tokens: [...identity.tokens, ...identity.above, baseNameToken(path)],
    paths: [...identity.paths],
    isDirectory: false,
    edges: [],
    content: { file: isExact ? path : bytes, volume: undefined },
  };
}

/** A reference with everything that it may mean on this host. */
export function toEdge(reference: Reference, document: string, files: FileIdentifier): Edge {
  const path = pathOf(reference);
  const identity = path === undefined ? undefined : files.identify(path);
  const more = [...(identity?.below ?? []), ...nameTokens(reference), ...servedFileTokens(reference)];
  const tokens = identity?.tokens ?? [];
  return { reference, document, tokens: more.length === 0 ? tokens : [...tokens, ...more] };
}

/** The path that a reference names. libvirt runs QEMU in the root directory, where relative ones then start. */
export function pathOf({ kind, value }: Reference): string | undefined {
  if (kind !== 'path' && kind !== 'dir') return undefined;
  return value.startsWith('/') ? value : `/${value}`;
}

/**
 * Ties the nodes together that are one file under several names: links, or one directory mounted twice. A symbolic link
 * goes before what it leads to: libvirt cannot delete one that leads nowhere.
 */
export async function linkSameFiles(nodes: readonly DraftNode[]): Promise<void> {
  for (const [token, same] of byInode(nodes)) {
    if (same.length < 2) continue;
    for (const node of same) {
      const isLink = await isSymbolicLink(node.content.file);
      const evidence = isLink ? 'symbolic link' : 'same file';
      const reference: Reference = { kind: 'path', value: node.paths[0] ?? node.label, evidence };
      node.edges.push({ reference, document: node.label, tokens: [token], isAlias: !isLink });
    }
  }
}

function byInode(nodes: readonly DraftNode[]): ReadonlyMap<Token, readonly DraftNode[]> {
  const groups = new Map<Token, DraftNode[]>();
  for (const node of nodes) {
    for (const token of node.tokens.filter((known) => known.startsWith('inode:'))) {
      const group = groups.get(token);
      if (group === undefined) groups.set(token, [node]);
      else group.push(node);
    }
  }
  return groups;
}

async function isSymbolicLink(file: Content['file']): Promise<boolean> {
  if (file === undefined) return false;
  return lstat(file).then(
    (status) => status.isSymbolicLink(),
    () => false,
  );
}

function addMissing<T>(list: T[], more: readonly T[]): void {
  for (const value of more) if (!list.includes(value)) list.push(value);
}
