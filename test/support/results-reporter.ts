import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import mocha from 'mocha';
import type { TestResult } from './id-table.ts';

const { reporters, Runner } = mocha;

/** Where the results of a run are written, unless `--reporter-option output=…` says otherwise; `ids.ts` reads them. */
export const RESULTS = 'dist/test-results.json';

/** Prints what the reporter `dot` prints, and writes how every test ended into a file. */
class ResultsReporter extends reporters.Dot {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const results: TestResult[] = [];
    const note = (state: TestResult['state']) => (test: Mocha.Test) => {
      // A hook that fails is reported as a test; its suite's own tests then never run and are in no list.
      results.push({ title: test.fullTitle(), state });
    };
    runner.on(Runner.constants.EVENT_TEST_PASS, note('passed'));
    runner.on(Runner.constants.EVENT_TEST_FAIL, note('failed'));
    runner.on(Runner.constants.EVENT_TEST_PENDING, note('pending'));
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { output = RESULTS } = (options.reporterOptions ?? {}) as { output?: string };
      mkdirSync(dirname(output), { recursive: true });
      writeFileSync(output, JSON.stringify(results, undefined, 1));
    });
  }
}

// oxlint-disable-next-line import/no-default-export -- what mocha asks of a reporter
export default ResultsReporter;
