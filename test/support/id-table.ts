import type { Promised } from '../absence/ids.ts';

/** How one test ended. */
export interface TestResult {
  /** With the titles of its suites before it. */
  readonly title: string;
  readonly state: 'passed' | 'failed' | 'pending';
}

/** A promise, the tests that hold it, and those in which its opposite goes. */
export interface IdRow {
  readonly promised: Promised;
  readonly tests: readonly TestResult[];
  /** Tests whose title says that they are the twin; without any, each test has it within. */
  readonly twins: readonly TestResult[];
  readonly result: 'passed' | 'failed' | 'pending' | 'missing';
}

const BRACKETS = /\[([^[\]]+)\]/g;
const PART = /^([A-G]\d{1,2})\b(.*)$/;

/** The ids in brackets of a title, e.g. of `keeps the base [C1, D4]` or `goes [D4 twin]`. */
export function idsOf(title: string): readonly { readonly id: string; readonly isTwin: boolean }[] {
  const parts = [...title.matchAll(BRACKETS)].flatMap(([, inner = '']) => inner.split(','));
  return parts.flatMap((part) => {
    const [, id, rest = ''] = PART.exec(part.trim()) ?? [];
    return id === undefined ? [] : [{ id, isTwin: /\btwin\b/.test(rest) }];
  });
}

/** Joins promises with the tests that name them. */
export function tableOf(promises: readonly Promised[], results: readonly TestResult[]): readonly IdRow[] {
  const named = results.map((test) => ({ test, ids: idsOf(test.title) }));
  return promises.map((promised) => {
    const those = (isTwin: boolean): readonly TestResult[] =>
      named
        .filter(({ ids }) => ids.some((one) => one.id === promised.id && one.isTwin === isTwin))
        .map(({ test }) => test);
    const [tests, twins] = [those(false), those(true)];
    return { promised, tests, twins, result: tests.length === 0 ? 'missing' : worst([...tests, ...twins]) };
  });
}

/** What is wrong with a table: promises that are due without a test, tests that failed or were skipped, ids that nobody promised. */
export function complaintsAbout(
  table: readonly IdRow[],
  results: readonly TestResult[],
  { mayRun }: { readonly mayRun: boolean },
): readonly string[] {
  const known = new Set(table.map(({ promised }) => promised.id));
  const strange = results.flatMap(({ title }) =>
    idsOf(title)
      .filter(({ id }) => !known.has(id))
      .map(({ id }) => `${id}: nothing of that name is promised, but a test names it: ${title}`),
  );
  const bad = table.flatMap(({ promised: { id, isDue, meaning }, tests, twins, result }) => {
    if (result === 'missing') return isDue ? [`${id}: no test names it (${meaning})`] : [];
    const those = [...tests, ...twins];
    const failed = those.filter(({ state }) => state === 'failed').map(({ title }) => `${id}: failed: ${title}`);
    const skipped = those.filter(({ state }) => state === 'pending').map(({ title }) => `${id}: skipped: ${title}`);
    return [...failed, ...(mayRun ? skipped : [])];
  });
  return [...strange, ...bad];
}

/** A table for people: each id once, then its tests. */
export function printTable(table: readonly IdRow[]): string {
  const lines = table.flatMap(({ promised: { id, isDue, meaning }, tests, twins, result }) => {
    const when = isDue || result !== 'missing' ? result : 'later';
    return [
      `${id.padEnd(4)} ${when.padEnd(8)} ${meaning}`,
      ...tests.map(({ title, state }) => `${mark(state)} test  ${title}`),
      ...(tests.length > 0 && twins.length === 0 ? ['       twin  in the same test'] : []),
      ...twins.map(({ title, state }) => `${mark(state)} twin  ${title}`),
    ];
  });
  return `${lines.join('\n')}\n`;
}

/** A table for a note: one row for each id. */
export function printMarkdown(table: readonly IdRow[]): string {
  const cell = (tests: readonly TestResult[]): string =>
    tests.map(({ title }) => title.replaceAll('|', '\\|')).join('<br>');
  const rows = table
    .filter(({ promised, result }) => promised.isDue || result !== 'missing')
    .map(
      ({ promised, tests, twins, result }) =>
        `| ${promised.id} | ${cell(tests)} | ${twins.length === 0 ? 'in the same test' : cell(twins)} | ${result} |`,
    );
  return ['| id | test | twin | result |', '|---|---|---|---|', ...rows, ''].join('\n');
}

function mark(state: TestResult['state']): string {
  return { passed: '     ✓', failed: '     ✗', pending: '     –' }[state];
}

function worst(tests: readonly TestResult[]): TestResult['state'] {
  const states = new Set(tests.map(({ state }) => state));
  return (['failed', 'pending'] as const).find((state) => states.has(state)) ?? 'passed';
}
