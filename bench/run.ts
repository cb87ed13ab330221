import { loadavg } from 'node:os';
import { firstSyncRow } from './first-sync-row.ts';
import { type Row, table } from './row.ts';
import { domainRows, unchangedRow } from './scan-rows.ts';
import { helpRow, queryRow } from './startup-rows.ts';

const BENCHES: Readonly<Record<string, () => Promise<Row | readonly Row[]>>> = {
  help: helpRow,
  query: queryRow,
  unchanged: unchangedRow,
  domains: domainRows,
  'first-sync': firstSyncRow,
};

/** Measures the benches that are named, or all; prints one JSON line for each row, then a table of them. */
async function main(names: readonly string[]): Promise<void> {
  const rows: Row[] = [];
  for (const name of names.length === 0 ? Object.keys(BENCHES) : names) {
    const bench = BENCHES[name];
    if (bench === undefined)
      throw new Error(`no bench is called '${name}'; there are ${Object.keys(BENCHES).join(', ')}`);
    const loadBefore = loadavg()[0];
    for (const row of [await bench()].flat()) {
      console.log(JSON.stringify({ ...row, loadBefore }));
      rows.push(row);
    }
  }
  console.log(`\n${table(rows)}`);
}

await main(process.argv.slice(2));
