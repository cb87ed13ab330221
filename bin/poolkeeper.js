#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';

// Packages ship a bundle, which starts several times as fast, and its help as text; `npm run build` leaves neither.
const bundle = new URL('../dist/bundle/cli.js', import.meta.url);
const help = new URL('../dist/bundle/help.txt', import.meta.url);
if (process.argv.slice(2).join(' ') === '--help' && existsSync(help)) {
  process.stdout.on('error', () => {}).write(readFileSync(help));
} else {
  const { main } = await import(existsSync(bundle) ? bundle : new URL('../dist/src/cli.js', import.meta.url));
  await main();
}
