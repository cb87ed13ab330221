import { readdirSync, readFileSync } from 'node:fs';

const TESTDATA = new URL('../../../../../testdata/', import.meta.url);

/** The documents of one folder of testdata. */
export function samplesOf(folder: 'domain' | 'volume'): readonly string[] {
  const directory = new URL(`${folder}/`, TESTDATA);
  const names = readdirSync(directory).filter((name) => name.endsWith('.xml'));
  return names.map((name) => readFileSync(new URL(name, directory), 'utf8'));
}
