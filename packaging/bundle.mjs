// Makes the files that are shipped out of those that the compiler wrote: node packaging/bundle.mjs [OUT]
// Loading hundreds of modules takes a short command longer than its work; bundled, each command loads a handful. Names are
// shortened, which saves as much again; with NODE_OPTIONS=--enable-source-maps stacks name the lines of the sources.
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const DIST = join(dirname(fileURLToPath(import.meta.url)), '../dist');

await build({
  entryPoints: [join(DIST, 'src/cli.js')],
  outdir: process.argv[2] ?? join(DIST, 'bundle'),
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
