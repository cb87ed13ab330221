import type { BlindSpot, Reference } from '../core/reference.ts';
import { nameTokens } from '../core/reference-tokens.ts';
import type { Edge, GraphNode, Token } from '../core/use-graph.ts';
import type { FileIdentifier } from './file-identity.ts';

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

/** The nodes found so far, each directory entry once, however many pools show it. */
export class Draft {
  readonly nodes: DraftNode[] = [];
  readonly blindSpots: BlindSpot[] = [];
  readonly #byEntry = new Map<string, DraftNode>();
  readonly #tokens = new Set<Token>();

  /** Adds a node; if its directory entry is known already, the known node learns the new names. */
  add(entry: string, node: DraftNode): DraftNode {
    for (const token of node.tokens) this.#tokens.add(token);
    const known = this.#byEntry.get(entry);
    if (known === undefined) {
      this.#byEntry.set(entry, node);
      this.nodes.push(node);
      return node;
    }
    addMissing(known.tokens, node.tokens);
    addMissing(known.paths, node.paths);
    return known;
  }

  /** Whether a node goes by one of these tokens. */
  knows(tokens: readonly Token[]): boolean {
    return tokens.some((token) => this.#tokens.has(token));
  }
}

/** A reference with everything that it may mean on this host. */
export async function toEdge(reference: Reference, document: string, files: FileIdentifier): Promise<Edge> {
  const isPath = (reference.kind === 'path' || reference.kind === 'dir') && reference.value.trimStart().startsWith('/');
  const tokens = isPath ? (await files.identify(reference.value)).tokens : [];
  return { reference, document, tokens: [...tokens, ...nameTokens(reference)] };
}

/** Ties the nodes together that are one file under several names: links, or one directory mounted twice. */
export function linkSameFiles(nodes: readonly DraftNode[]): void {
  const byInode = new Map<Token, DraftNode[]>();
  for (const node of nodes) {
    for (const token of node.tokens) {
      if (!token.startsWith('inode:')) continue;
      byInode.set(token, [...(byInode.get(token) ?? []), node]);
    }
  }
  for (const [token, same] of byInode) {
    if (same.length < 2) continue;
    for (const node of same) {
      const reference: Reference = { kind: 'path', value: node.paths[0] ?? node.label, evidence: 'same file' };
      node.edges.push({ reference, document: node.label, tokens: [token] });
    }
  }
}

function addMissing<T>(list: T[], more: readonly T[]): void {
  for (const value of more) if (!list.includes(value)) list.push(value);
}
