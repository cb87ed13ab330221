/** The methods of a reporter, and which of their arguments is the message type. */
const PLACES = { rows: 0, data: 1, event: 2 } as const;

/** The message types that a TypeScript text prints, as far as they are written out where they are printed. */
export function messageTypesIn(text: string): readonly string[] {
  const calls = [...text.matchAll(/reporter\.(rows|data|event)\(/g)].flatMap(({ 0: start, 1: method, index }) => {
    const place = PLACES[method as keyof typeof PLACES];
    return argumentsFrom(text, index + start.length)[place] ?? [];
  });
  const named = [...text.matchAll(/(?:messageType: |writeJson\()('[a-z_]+')/g)].map(([, type]) => type ?? '');
  return [...calls, ...named].flatMap((word) => /^'([a-z_]+)'$/.exec(word.trim())?.[1] ?? []);
}

/** The arguments of a call that begin at an offset: commas within brackets and texts do not part them. */
function argumentsFrom(text: string, start: number): readonly string[] {
  const found = [''];
  let depth = 0;
  for (const [token] of text.slice(start).matchAll(/'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|[^]/g)) {
    if ('([{'.includes(token)) depth += 1;
    if (')]}'.includes(token)) depth -= 1;
    if (depth < 0) break;
    if (token === ',' && depth === 0) found.push('');
    else found.push((found.pop() ?? '') + token);
  }
  return found;
}
