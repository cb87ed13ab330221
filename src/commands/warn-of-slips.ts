import type { Filter, FlatItem } from '../core/filter.ts';
import { explainSlips } from '../core/filter-hints.ts';
import type { Reporter } from '../report/reporter.ts';

/** That nothing matches may be right; filters that could match nothing are not. */
export function warnOfSlips(
  filters: readonly Filter[],
  { items, what }: { readonly items: readonly FlatItem[]; readonly what: string },
  reporter: Reporter,
): void {
  const hint = explainSlips(filters, items);
  if (hint === undefined) return;
  const texts = filters.map(({ text }) => text).join(' ');
  reporter.warning(`none of the ${items.length} ${what} matches ${texts}`, hint);
}
