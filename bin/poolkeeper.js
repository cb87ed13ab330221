#!/usr/bin/env node
import { existsSync } from 'node:fs';

// Packages ship a bundle, which starts several times as fast; `npm run build` leaves none.
const bundle = new URL('../dist/bundle/cli.js', import.meta.url);
const { main } = await import(existsSync(bundle) ? bundle : new URL('../dist/src/cli.js', import.meta.url));
await main();
