// Makes the files that are shipped out of those that the compiler wrote: node packaging/bundle.mjs [OUT]
// Loading hundreds of modules takes a short command longer than its work; bundled, each command loads a handful: the command
// line, what two or more commands share, and what is its own. Names are shortened, which saves as much again; with
// NODE_OPTIONS=--enable-source-maps stacks name the lines of the sources.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

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
  load: {
    filter: { id: /\/string-width\/index\.js$/ },
    handler(path) {
      let code = readFileSync(path, 'utf8');
      for (const [early, name, made, method] of MADE_EARLY) {
        const late = `let ${name}Made; const ${name} = { ${method}: text => (${name}Made ??= ${made}).${method}(text) };`;
        code = code.replace(early, () => late);
      }
      // The edition in CommonJS form, that of cli-progress, has neither.
      const isOther = /^const.*(?:Intl\.Segmenter|RGI_Emoji).*;$/m.test(code.replaceAll(/^let \w+Made; .*$/gm, ''));
      if (isOther) this.error(`${path} reads otherwise: adapt packaging/bundle.mjs`);
      return code;
    },
  },
};

rmSync(out, { recursive: true, force: true });
const help = execFileSync(process.execPath, [join(ROOT, 'bin/poolkeeper.js'), '--help'], {
  env: { ...process.env, LC_ALL: 'C' },
});
await build({
  input: join(ROOT, 'dist/src/cli.js'),
  platform: 'node',
  transform: { target: 'node20.19' },
  preserveEntrySignatures: 'allow-extension',
  // It finds its binary beside itself.
  external: ['koffi'],
  plugins: [lateWidths],
  output: {
    dir: out,
    format: 'esm',
    entryFileNames: '[name].js',
    // What libraries do when they are loaded may depend on their order. Modules of this project do nothing then, but those that bring
    // undici, which are no part of a group as nothing imports them statically.
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [
        { name: 'start', tags: ['$initial'], priority: 1 },
        { name: 'shared', test: /\/dist\/src\//, minShareCount: 2 },
      ],
    },
    minify: true,
    comments: { legal: true, annotation: false, jsdoc: false },
    sourcemap: true,
    sourcemapExcludeSources: true,
  },
  logLevel: 'warn',
});
// Nothing in it depends on where it is printed, and formatting it takes longer than starting Node.
writeFileSync(join(out, 'help.txt'), help);
