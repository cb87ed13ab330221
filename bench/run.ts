import { loadavg } from 'node:os';
import { firstSyncRow, limitedSyncRow } from './first-sync-row.ts';
import { type Row, table } from './row.ts';
import { scaling } from './scaling.ts';
import { domainRows, unchangedRow } from './scan-rows.ts';
import { helpRow, pathRow, queryRow } from './startup-rows.ts';

const BENCHES: Readonly<Record<string, () => Promise<Row | readonly Row[]>>> = {
  help: helpRow,
  query: queryRow,
  path: pathRow,
  unchanged: unchangedRow,
  domains: domainRows,
  'first-sync': firstSyncRow,
  'limited-sync': limitedSyncRow,
};

/** Named like a bench, though it prints a table of its own. */
const SCALING = 'scaling';

/** Measures the benches that are named, or all; prints one JSON line for each row, then a table of them. */
async function main(names: readonly string[]): Promise<void> {
  const rows: Row[] = [];
  const all = [...Object.keys(BENCHES), SCALING];
  const wanted = names.length === 0 ? all : names;
  for (const name of wanted.filter((each) => each !== SCALING)) {
    const bench = BENCHES[name];
    if (bench === undefined) throw new Error(`no bench is called '${name}'; there are ${all.join(', ')}`);
    const loadBefore = loadavg()[0];
    for (const row of [await bench()].flat()) {
      console.log(JSON.stringify({ ...row, loadBefore }));
      rows.push(row);
    }
  }
  if (rows.length > 0) console.log(`\n${table(rows)}`);
  if (wanted.includes(SCALING)) console.log(`\n${await scaling()}`);
}

await main(process.argv.slice(2));
