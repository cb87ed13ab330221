/** The candidates that a mistyped word was probably meant to be: those at most a third of its letters away, nearest first. */
export function nearMatches(word: string, candidates: Iterable<string>): readonly string[] {
  const limit = Math.max(1, Math.floor(word.length / 3));
  return [...new Set(candidates)]
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate, limit) }))
    .filter(({ distance }) => distance <= limit)
    .toSorted((a, b) => a.distance - b.distance)
    .map(({ candidate }) => candidate);
}

/** How many letters have to be added, left out, replaced or swapped with a neighbour; anything above `limit` is `limit + 1`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) row.push(cellOf({ a, b, i, j }, { row, last, beforeLast }));
    [beforeLast, last] = [last, row];
  }
  return Math.min(last[b.length] ?? limit + 1, limit + 1);
}

interface Cell {
  readonly a: string;
  readonly b: string;
  readonly i: number;
  readonly j: number;
}

interface Rows {
  readonly row: readonly number[];
  readonly last: readonly number[];
  readonly beforeLast: readonly number[];
}

function cellOf({ a, b, i, j }: Cell, { row, last, beforeLast }: Rows): number {
  const at = (list: readonly number[], index: number): number => list[index] ?? Infinity;
  const replaced = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
  const isSwap = i > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
  const swapped = isSwap ? at(beforeLast, j - 2) + 1 : Infinity;
  return Math.min(at(last, j) + 1, at(row, j - 1) + 1, replaced, swapped);
}
