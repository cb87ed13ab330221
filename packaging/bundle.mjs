// Makes the files that are shipped out of those that the compiler wrote: node packaging/bundle.mjs [OUT]
// Loading hundreds of modules takes a short command longer than its work; bundled, each command loads a handful. Names are
// shortened, which saves as much again; with NODE_OPTIONS=--enable-source-maps stacks name the lines of the sources.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const out = process.argv[2] ?? join(ROOT, 'dist/bundle');

/**
 * string-width, which yargs brings along, makes its Intl.Segmenter when it is loaded. That takes half as long as Node to start,
 * and texts of ASCII never need it: here it is made when it is first asked. Fails when the library no longer reads like that.
 */
const SEGMENTER = 'const segmenter = new Intl.Segmenter();';
const lateSegmenter = {
  name: 'late-segmenter',
  setup({ onLoad }) {
    onLoad({ filter: /\/string-width\/index\.js$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      // The edition in CommonJS form, that of cli-progress, has none.
      if (!source.includes('Segmenter')) return undefined;
      if (source.split('Segmenter(').length !== 2 || !source.includes(SEGMENTER))
        return { errors: [{ text: `${path} makes its segmenter in another way: adapt packaging/bundle.mjs` }] };
      const late = 'let own; const segmenter = { segment: text => (own ??= new Intl.Segmenter()).segment(text) };';
      return { contents: source.replace(SEGMENTER, late), loader: 'js' };
    });
  },
};

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
  // Libraries in CommonJS form ask for modules of Node. It stands in every file, so it does nothing before it is asked.
  banner: {
    js: "import{createRequire as $createRequire}from'node:module';let $require;const require=name=>($require??=$createRequire(import.meta.url))(name);",
  },
  legalComments: 'linked',
  plugins: [lateSegmenter],
  logLevel: 'warning',
});
// Nothing in it depends on where it is printed, and formatting it takes longer than starting Node.
writeFileSync(join(out, 'help.txt'), help);
