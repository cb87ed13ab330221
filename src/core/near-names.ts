/** How many suggestions help; more of them would be a list. */
const MOST = 3;

/** The names that somebody probably meant, best first: mistyped by a few characters, or only a part of the name given. */
export function nearNames(text: string, names: Iterable<string>): readonly string[] {
  const wanted = text.toLowerCase();
  const ranked = [...new Set(names)].sort().flatMap((name) => {
    const rank = rankOf(wanted, name.toLowerCase());
    return rank === undefined ? [] : [{ name, rank }];
  });
  return ranked
    .sort((a, b) => a.rank - b.rank)
    .slice(0, MOST)
    .map(({ name }) => name);
}

/** `undefined` for a name that has too little to do with the text. */
function rankOf(wanted: string, name: string): number | undefined {
  const allowed = Math.max(1, Math.floor(wanted.length / 4));
  const distance = Math.abs(wanted.length - name.length) > allowed ? Infinity : editDistance(wanted, name);
  if (distance <= allowed) return distance;
  return wanted.length > 2 && name.includes(wanted) ? name.length : undefined;
}

/** How many characters have to be added, taken away, changed, or swapped with a neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const changed = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? at(beforeLast, j - 2) + 1 : Infinity;
      row.push(Math.min(changed, swapped, at(last, j) + 1, at(row, j - 1) + 1));
    }
    [beforeLast, last] = [last, row];
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
