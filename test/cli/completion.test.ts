import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { run } from '../../src/cli.ts';
import { writeMetadataFile } from '../../src/state/metadata-files.ts';
import { contextIn } from '../support/in-process.ts';
import { runProgram } from '../support/world.ts';

const PROGRAM = fileURLToPath(new URL('../../../bin/poolkeeper.js', import.meta.url));
const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';

/** How each shell is started so that it reads no file of the user, and how it loads the script. */
const SHELLS = {
  bash: { start: 'bash --norc --noprofile -i', load: 'bind "set enable-bracketed-paste off"; source <(real bash)' },
  zsh: { start: 'zsh -f -i', load: 'autoload -U compinit; compinit -u -D; source <(real zsh)' },
  fish: { start: 'fish --no-config -i', load: 'real fish | source' },
} as const;

/** zsh and fish are tried where somebody has installed them: POOLKEEPER_TEST_SHELLS=bash,zsh,fish. */
const CHOSEN = (process.env['POOLKEEPER_TEST_SHELLS'] ?? 'bash').split(',') as (keyof typeof SHELLS)[];

describe('completion', () => {
  let root: string;
  let options: readonly string[];

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'pk-complete-'));
    options = ['--state-dir', join(root, 'state'), '--metadata-dir', join(root, 'metadata')];
    for (const [version, label] of [
      ['20240423', 'beta'],
      ['20240821', 'release'],
    ] as const) {
      const tags = { release: 'noble', arch: 'amd64', label };
      await writeMetadataFile(join(root, 'metadata'), { product: NOBLE, version }, tags);
    }
    await mkdir(join(root, 'bin'));
    // What was completed is printed instead of run.
    const [prefix, suffix] = [`exec ${process.execPath} ${PROGRAM}`, options.join(' ')];
    await writeFile(
      join(root, 'bin/poolkeeper'),
      `#!/bin/bash\n[[ $1 != __complete ]] || { shift; ${prefix} __complete ${suffix} "$@"; }\nprintf 'got <%s>\\n' "$*"\n`,
    );
    await writeFile(join(root, 'bin/real'), `#!/bin/sh\n${prefix} completion "$@"\n`);
    for (const name of ['poolkeeper', 'real']) await chmod(join(root, 'bin', name), 0o755);
  });
  after(() => rm(root, { recursive: true, force: true }));

  async function complete(...words: readonly string[]): Promise<readonly string[]> {
    const { context, written } = contextIn(root);
    expect(await run(['__complete', ...options, ...words], context)).to.equal(0);
    expect(written.stderr).to.equal('');
    return written.stdout.split('\n').slice(0, -1);
  }

  /** What a person gets who types these lines, tabs included, into a shell on a terminal. */
  async function type(shell: keyof typeof SHELLS, lines: readonly string[]): Promise<readonly string[]> {
    const { start, load } = SHELLS[shell];
    const child = spawn('script', ['-qec', start, '/dev/null'], {
      cwd: root,
      env: { PATH: `${join(root, 'bin')}:${process.env['PATH']}`, HOME: root, TERM: 'dumb', PS1: '$ ' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(`${[load, ...lines, 'exit'].join('\n')}\n`);
    const output = await text(child.stdout);
    return [...output.matchAll(/^got <(.*)>\r?$/gm)].map(([, words]) => words ?? '');
  }

  it('offers commands and sub-commands, with what they do', async () => {
    expect(await complete('un')).to.deep.equal([
      'unlock\ttake the lock off an image',
      'undo\ttake back what waits for its deletion or was deleted',
    ]);
    expect(await complete('lease', 'r')).to.have.lengthOf(2);
  });

  it('offers options and the values that they can have', async () => {
    expect(
      await Promise.all([
        complete('sync', '--no-g'),
        complete('gc', '--gone', ''),
        complete('gc', '--gone=d'),
        complete('completion', ''),
      ]),
    ).to.deep.equal([
      ['--no-gc\tdelete nothing'],
      ['keep', 'drop-when-unused'],
      ['--gone=drop-when-unused'],
      ['bash', 'zsh', 'fish'],
    ]);
  });

  it('leaves values that it does not know, and the words of other programs, to the shell', async () => {
    expect(await complete('sync', '--keyring', '')).to.deep.equal([]);
    expect(await complete('lease', 'run', NOBLE, '--', 'virt')).to.deep.equal([]);
    expect(await complete('no-such-command', '--', '')).to.deep.equal([]);
  });

  it('offers products, then their versions, from files alone', async () => {
    expect(await complete('lock', 'com.')).to.deep.equal([NOBLE]);
    expect(await complete('lock', NOBLE, '')).to.deep.equal(['20240423', '20240821']);
    expect(await complete('why', 'x-uvt')).to.have.lengthOf(2);
  });

  it('offers the keys of filters, and the values that images have', async () => {
    expect(await complete('query', 'la')).to.deep.equal(['label=']);
    expect(await complete('query', 'arch=amd64', 'label=')).to.deep.equal(['label=beta', 'label=release']);
  });

  it('says nothing and ends well when it can read nothing', async () => {
    const ended = await runProgram(['__complete', '--state-dir', '/dev/null', 'lock', 'com.'], '/');
    expect(ended).to.deep.equal({ status: 0, stdout: '', stderr: '' });
  });

  for (const shell of CHOSEN) {
    it(`completes what is typed in ${shell}`, async () => {
      const lines = ['poolkeeper unl\t', 'poolkeeper lock com.ubu\t20240821\t', 'poolkeeper query lab\tbe\t'];
      expect(await type(shell, [...lines, 'poolkeeper sync --keyri\t'])).to.deep.equal([
        'unlock',
        `lock ${NOBLE} 20240821`,
        'query label=beta',
        'sync --keyring',
      ]);
    });
  }
});
