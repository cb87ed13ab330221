// Makes the files that are shipped out of those that the compiler wrote: node packaging/bundle.mjs [OUT]
// Loading hundreds of modules takes a short command longer than its work; bundled, each command loads a handful. Names are
// shortened, which saves as much again; with NODE_OPTIONS=--enable-source-maps stacks name the lines of the sources.
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const out = process.argv[2] ?? join(ROOT, 'dist/bundle');

rmSync(out, { recursive: true, force: true });
const help = execFileSync(process.execPath, [join(ROOT, 'bin/poolkeeper.js'), '--help'], {
  env: { ...process.env, LC_ALL: 'C' },
});
await build({
  entryPoints: [join(ROOT, 'dist/src/cli.js')],
  outdir: out,
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  sourcemap: 'linked',
  sourcesContent: false,
  // It finds its binary beside itself.
  external: ['koffi'],
  // Libraries in CommonJS form ask for modules of Node.
  banner: {
    js: "import{createRequire as $createRequire}from'node:module';const require=$createRequire(import.meta.url);",
  },
  legalComments: 'linked',
  logLevel: 'warning',
});
// Nothing in it depends on where it is printed, and formatting it takes longer than starting Node.
writeFileSync(join(out, 'help.txt'), help);
