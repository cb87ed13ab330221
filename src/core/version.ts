/**
 * Orders version names as simplestreams does: by code point, without a thought for numbers, so that `20240423.10` comes
 * before `20240423.2`. The newest version is the last one.
 */
export function compareVersions(a: string, b: string): number {
  const left = codePoints(a);
  const right = codePoints(b);
  const at = left.findIndex((point, index) => point !== right[index]);
  if (at === -1) return left.length - right.length;
  return (left[at] ?? 0) - (right[at] ?? -1);
}

function codePoints(text: string): readonly number[] {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0);
}
