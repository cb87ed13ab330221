import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { PROMISES } from '../absence/ids.ts';
import { complaintsAbout, printMarkdown, printTable, tableOf, type TestResult } from './id-table.ts';
import { RESULTS } from './results-reporter.ts';

// `npm run ids`: prints which test holds which promise of test/absence/ids.ts, its twin, and how they ended in the last
// `npm test`. Ends with status 1 when a promise that is due has no test, or its test failed or, for root, was skipped.
//   --run       runs the tests that name an id first, and nothing else
//   --markdown  prints a table for a note

const REPORTER = 'dist/test/support/results-reporter.js';
const RUN_RESULTS = 'dist/id-results.json';

const { values } = parseArgs({ options: { run: { type: 'boolean' }, markdown: { type: 'boolean' } } });
if (values.run === true) runThoseWithIds();
const results = read(values.run === true ? RUN_RESULTS : RESULTS);
const table = tableOf(PROMISES, results);
process.stdout.write(values.markdown === true ? printMarkdown(table) : printTable(table));
const complaints = complaintsAbout(table, results, { mayRun: process.getuid?.() === 0 });
for (const complaint of complaints) process.stderr.write(`ids: ${complaint}\n`);
process.exitCode = complaints.length > 0 ? 1 : 0;

function runThoseWithIds(): void {
  const words = ['mocha', '--grep', String.raw`\[[A-G]\d`, '--reporter', REPORTER, '--reporter-option'];
  // Its own status says nothing here: what failed stands in the results.
  spawnSync('npx', [...words, `output=${RUN_RESULTS}`], { stdio: ['ignore', 'inherit', 'inherit'] });
}

function read(path: string): readonly TestResult[] {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as readonly TestResult[];
  } catch (cause) {
    throw new Error(`cannot read '${path}': run 'npm test' first, or 'npm run ids -- --run'`, { cause });
  }
}
