import { isExactToken } from '../core/reference-tokens.ts';
import type { Edge, GraphNode, Token } from '../core/use-graph.ts';

/**
 * Tells which files everything that names them opens as raw bytes. A guest writes into such a file whatever it likes, also the
 * header of an image; nobody follows that header, so neither does poolkeeper.
 */
export class RawReferences {
  readonly #raw = new Set<Token>();
  readonly #other = new Set<Token>();
  readonly #texts: Edge[] = [];

  /** References of any kind, found so far, in free text as well. */
  get texts(): readonly Edge[] {
    return this.#texts;
  }

  /** Notes what a domain or an image names. */
  note(edges: readonly Edge[]): void {
    for (const edge of edges) {
      if (edge.reference.kind === 'text') this.#texts.push(edge);
      const isRaw = edge.isRaw === true;
      for (const token of edge.tokens) {
        if (!isRaw) this.#other.add(token);
        else if (isExactToken(token)) this.#raw.add(token);
      }
    }
  }

  /** Whether something names the file, and all that was noted so far opens it as raw bytes. */
  isOnlyRaw({ tokens }: GraphNode): boolean {
    return tokens.some((token) => this.#raw.has(token)) && !tokens.some((token) => this.#other.has(token));
  }
}
