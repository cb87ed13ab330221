import { type Filter, type FlatItem, filterHint } from './filter.ts';
import { nearNames } from './near-names.ts';

/** More values than this are no help in one line. */
const FEW = 8;

/** Enough to find near ones; an item has no more keys and a key no more values that people type. */
const MOST = 5000;

/** What is known of one filter after all items were looked at. */
interface Trial {
  readonly filter: Filter;
  /** What its key stands for, where an item has it. */
  readonly values: Set<string>;
  matches: boolean;
}

/**
 * Says why filters match nothing, and what was probably meant.
 *
 * @returns `undefined` when nothing can be said.
 */
export function explainNoMatch(filters: readonly Filter[], items: Iterable<FlatItem>): string | undefined {
  const { trials, keys } = tryAll(filters, items);
  if (keys.size === 0) return undefined;
  if (trials.every(({ matches }) => matches))
    return filters.length > 1 ? 'each filter matches something, but nothing matches all of them' : undefined;
  return hintsFor(trials, keys);
}

/**
 * What was probably meant by filters that can match nothing, whatever else is asked for: each that matches no item by itself
 * is explained by the keys and values that there are.
 *
 * @returns `undefined` when every filter makes sense.
 */
export function explainSlips(filters: readonly Filter[], items: Iterable<FlatItem>): string | undefined {
  const { trials, keys } = tryAll(filters, items);
  return keys.size === 0 ? undefined : hintsFor(trials, keys);
}

interface Trials {
  readonly trials: readonly Trial[];
  /** Those that items have. */
  readonly keys: ReadonlySet<string>;
}

function tryAll(filters: readonly Filter[], items: Iterable<FlatItem>): Trials {
  const trials = filters.map((filter): Trial => ({ filter, values: new Set(), matches: false }));
  const keys = new Set<string>();
  for (const item of items) {
    for (const key of Object.keys(item)) if (keys.size < MOST) keys.add(key);
    for (const trial of trials) tryOn(item, trial);
  }
  return { trials, keys };
}

/** A filter that leaves everything out says what it means. */
function hintsFor(trials: readonly Trial[], keys: ReadonlySet<string>): string | undefined {
  const slips = trials.filter(({ matches, filter }) => !matches && !filter.isNegated);
  return slips.length === 0 ? undefined : slips.map((trial) => hintFor(trial, keys)).join('; ');
}

function tryOn(item: FlatItem, trial: Trial): void {
  const { filter, values } = trial;
  trial.matches ||= filter.matches(item);
  const value = Object.hasOwn(item, filter.key) ? item[filter.key] : undefined;
  if (value !== undefined && values.size < MOST) values.add(value);
}

function hintFor({ filter: { text, key, value }, values }: Trial, keys: ReadonlySet<string>): string {
  const slip = filterHint(text);
  if (slip !== undefined) return slip;
  if (values.size === 0) return `'${text}': nothing has a key '${key}'; ${nearKey(key, keys)}`;
  const near = nearNames(value, values).map((name) => `${key}=${name}`);
  if (near.length > 0) return `'${text}': did you mean ${near.join(' or ')}?`;
  const [only] = values;
  if (values.size === 1) return `'${text}': ${key} is always ${only ?? ''}`;
  return values.size <= FEW
    ? `'${text}': ${key} is one of ${[...values].sort().join(', ')}`
    : `'${text}': 'poolkeeper catalog --values ${key}' lists what there is`;
}

function nearKey(key: string, keys: ReadonlySet<string>): string {
  const near = nearNames(key, keys).map((name) => `'${name}'`);
  return near.length > 0 ? `did you mean ${near.join(' or ')}?` : `see 'poolkeeper catalog --fields'`;
}
