import { productsOf } from '../core/selection.ts';
import { PoolkeeperError } from '../errors.ts';
import type { IsGone } from '../gather/stock.ts';
import { readSourceMemory } from '../state/source-memory.ts';
import type { ReadSource } from './read-source.ts';
import type { Session } from './session.ts';

/** Products of a source that it does not name any more, or that the filters leave out. Others are none of its business. */
export function goneFrom({ location, selection }: ReadSource): IsGone {
  const named = productsOf(selection);
  return ({ product }, source) => source === location.display && !named.has(product);
}

/**
 * Products that the last sync from their source did not select. A source that is not remembered, or whose memory cannot be
 * read, has lost nothing.
 */
export async function goneByMemory({ paths, reporter }: Session, sources: ReadonlySet<string>): Promise<IsGone> {
  const products = new Map<string, ReadonlySet<string>>();
  for (const source of sources) {
    try {
      const memory = await readSourceMemory(paths.sources, source);
      if (memory !== undefined && memory.products.length > 0) products.set(source, new Set(memory.products));
    } catch (error) {
      if (!(error instanceof PoolkeeperError)) throw error;
      reporter.warning(`cannot tell which products left ${source}: ${error.message}`, error.hint);
    }
  }
  return ({ product }, source) => source !== undefined && products.get(source)?.has(product) === false;
}
