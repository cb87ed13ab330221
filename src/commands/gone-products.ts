import { productsOf } from '../core/selection.ts';
import { PoolkeeperError } from '../errors.ts';
import type { IsGone } from '../gather/stock.ts';
import { readSourceMemory } from '../state/source-memory.ts';
import type { ReadSource } from './source-reader.ts';
import type { Session } from './session.ts';

/**
 * Products that their source does not name any more, or that its filters leave out. Those of a source that was not read are
 * none of its business, and filters that are meant for one run leave nothing out.
 */
export function goneFrom(sources: readonly ReadSource[]): IsGone {
  const named = new Map(
    sources
      .filter(({ chosen }) => !chosen.isNarrowed)
      .map(({ location, selection }) => [location.display, productsOf(selection)]),
  );
  return ({ product }, source) => source !== undefined && named.get(source)?.has(product) === false;
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
