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
 * string-width, which yargs brings along, makes an Intl.Segmenter and the expression for all emoji when it is loaded. That takes
 * almost as long as Node to start, and texts of ASCII never need them: here they are made when first asked.
 */
const MADE_EARLY = [
  ['const segmenter = new Intl.Segmenter();', 'segmenter', 'new Intl.Segmenter()', 'segment'],
  [
    'const rgiEmojiRegex = /^\\p{RGI_Emoji}$/v;',
    'rgiEmojiRegex',
    String.raw`new RegExp('^\\p{RGI_Emoji}$', 'v')`,
    'test',
  ],
];
const lateWidths = {
  name: 'late-widths',
  setup({ onLoad }) {
    onLoad({ filter: /\/string-width\/index\.js$/ }, ({ path }) => {
      let contents = readFileSync(path, 'utf8');
      for (const [early, name, made, method] of MADE_EARLY) {
        const late = `let ${name}Made; const ${name} = { ${method}: text => (${name}Made ??= ${made}).${method}(text) };`;
        contents = contents.replace(early, () => late);
      }
      // The edition in CommonJS form, that of cli-progress, has neither.
      const isOther = /^const.*(?:Intl\.Segmenter|RGI_Emoji).*;$/m.test(contents.replaceAll(/^let \w+Made; .*$/gm, ''));
      if (isOther) return { errors: [{ text: `${path} reads otherwise: adapt packaging/bundle.mjs` }] };
      return { contents, loader: 'js' };
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
  plugins: [lateWidths],
  logLevel: 'warning',
});
// Nothing in it depends on where it is printed, and formatting it takes longer than starting Node.
writeFileSync(join(out, 'help.txt'), help);
