import { expect } from 'chai';
import { readFileSync, writeFileSync } from 'node:fs';

const DIRECTORY = new URL('../../../testdata/cli/', import.meta.url);

/** Compares with a file of `testdata/cli`. Rewritten with UPDATE_GOLDEN=1; read the difference as you would read code. */
export function compareWithGolden(name: string, text: string): void {
  const golden = new URL(name, DIRECTORY);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, text);
  expect(text).to.equal(readFileSync(golden, 'utf8'));
}
