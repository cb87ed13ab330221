import { type Filter, type FlatItem, matchesAll } from './filter.ts';
import type { Identity } from './identity.ts';
import { isEligible, type OfferedItem, parseSize, preferred } from './selection.ts';
import { compareVersions } from './version.ts';

/** One version of a product as a source offers it. */
export interface CatalogEntry {
  readonly identity: Identity;
  /** The item that a sync would take; where the filters leave several, each is an entry. */
  readonly itemName: string;
  readonly sizeBytes: bigint | undefined;
  readonly tags: FlatItem;
}

/** What a listing of a source is about. */
export interface CatalogRequest {
  readonly filters: readonly Filter[];
  /** As for `selectNewest`. */
  readonly preference: readonly string[];
  /** Every version, or the newest of each product. */
  readonly hasAll: boolean;
}

/** The versions that match, by product and from the newest to the oldest, as a sync would choose among their items. */
export function listCatalog(items: Iterable<OfferedItem>, request: CatalogRequest): readonly CatalogEntry[] {
  const { filters, preference, hasAll } = request;
  const products = new Map<string, Map<string, OfferedItem[]>>();
  for (const item of items) {
    if (!isEligible(item, filters, preference)) continue;
    const versions = products.get(item.product) ?? new Map<string, OfferedItem[]>();
    products.set(item.product, versions);
    const known = versions.get(item.version) ?? [];
    if (!known.some(({ itemName }) => itemName === item.itemName)) versions.set(item.version, [...known, item]);
  }
  return [...products].toSorted(byName).flatMap(([, versions]) => {
    const ordered = [...versions].toSorted(([a], [b]) => compareVersions(b, a));
    const shown = hasAll ? ordered : ordered.slice(0, 1);
    return shown.flatMap(([, candidates]) => preferred(candidates, preference).map(toEntry));
  });
}

function toEntry({ product, version, itemName, tags }: OfferedItem): CatalogEntry {
  return { identity: { product, version }, itemName, sizeBytes: parseSize(tags['size']), tags };
}

/** How often something occurs among items. */
export interface Count {
  readonly name: string;
  /** Items that have it. */
  readonly items: number;
  /** Different values, of a key. */
  readonly values: number;
}

/** The keys of the items that match, by name. */
export function countFields(items: Iterable<FlatItem>, filters: readonly Filter[]): readonly Count[] {
  const values = new Map<string, Map<string, number>>();
  for (const item of items) {
    if (!matchesAll(item, filters)) continue;
    for (const [key, value] of Object.entries(item)) {
      const known = values.get(key) ?? new Map<string, number>();
      values.set(key, known.set(value, (known.get(value) ?? 0) + 1));
    }
  }
  return [...values].toSorted(byName).map(([name, counts]) => {
    let total = 0;
    for (const count of counts.values()) total += count;
    return { name, items: total, values: counts.size };
  });
}

/** The values that a key has in the items that match, the most frequent first. */
export function countValues(items: Iterable<FlatItem>, key: string, filters: readonly Filter[]): readonly Count[] {
  const counts = new Map<string, number>();
  for (const item of items) {
    const value = Object.hasOwn(item, key) ? item[key] : undefined;
    if (value !== undefined && matchesAll(item, filters)) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts]
    .toSorted((a, b) => b[1] - a[1] || byName(a, b))
    .map(([name, count]) => ({ name, items: count, values: 1 }));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
