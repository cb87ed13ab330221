import { formatBytes } from '../core/byte-size.ts';
import type { CatalogEntry, Count } from '../core/catalog.ts';
import type { Reporter } from './reporter.ts';
import { type Column, showTable } from './table.ts';

/** What the pool has of an image: it is offered to new domains, or only held; `undefined`: neither, or not known. */
export type Presence = 'offered' | 'held' | undefined;

/** One line of a catalog. */
export interface CatalogRow {
  readonly entry: CatalogEntry;
  /** The name of its source, or its address. */
  readonly source: string;
  readonly presence: Presence;
}

/** Shows what sources offer. The source is a column only where there are several. */
export function showCatalog(rows: readonly CatalogRow[], hasSources: boolean, reporter: Reporter): void {
  const columns: readonly Column<CatalogRow>[] = [
    { title: ' ', text: ({ presence }) => markOf(presence), style: () => 'green' },
    { title: 'PRODUCT', text: ({ entry }) => entry.identity.product, shrinksTo: 16 },
    { title: 'VERSION', text: ({ entry }) => entry.identity.version },
    { title: 'ARCH', text: ({ entry }) => entry.tags['arch'] ?? '' },
    { title: 'RELEASE', text: ({ entry }) => entry.tags['release'] ?? '' },
    { title: 'SIZE', text: ({ entry }) => sizeText(entry), isRightAligned: true },
    { title: 'ITEM', text: ({ entry }) => entry.itemName, shrinksTo: 8, isOptional: true },
    ...(hasSources ? [{ title: 'SOURCE', text: ({ source }: CatalogRow) => source, shrinksTo: 8 }] : []),
  ];
  const fields = ({ entry, source, presence }: CatalogRow) => ({
    ...entry.identity,
    source,
    item: entry.itemName,
    arch: entry.tags['arch'],
    release: entry.tags['release'],
    size_bytes: entry.sizeBytes,
    is_held: presence !== undefined,
    is_offered: presence === 'offered',
  });
  showTable({ messageType: 'catalog', columns, rows, fields }, reporter);
}

/** Shows the keys that filters can be about. */
export function showFields(counts: readonly Count[], reporter: Reporter): void {
  const columns: readonly Column<Count>[] = [
    { title: 'KEY', text: ({ name }) => name },
    { title: 'ITEMS', text: ({ items }) => String(items), isRightAligned: true },
    { title: 'VALUES', text: ({ values }) => String(values), isRightAligned: true },
  ];
  const fields = ({ name, items, values }: Count) => ({ key: name, items, values });
  showTable({ messageType: 'field', columns, rows: counts, fields }, reporter);
}

/** Shows the values that a key has. */
export function showValues(key: string, counts: readonly Count[], reporter: Reporter): void {
  const columns: readonly Column<Count>[] = [
    { title: key.toUpperCase(), text: ({ name }) => name, shrinksTo: 16 },
    { title: 'ITEMS', text: ({ items }) => String(items), isRightAligned: true },
  ];
  const fields = ({ name, items }: Count) => ({ key, value: name, items });
  showTable({ messageType: 'value', columns, rows: counts, fields }, reporter);
}

function markOf(presence: Presence): string {
  if (presence === undefined) return '';
  return presence === 'offered' ? '*' : '+';
}

function sizeText({ sizeBytes }: CatalogEntry): string {
  return sizeBytes === undefined ? '?' : formatBytes(sizeBytes);
}
