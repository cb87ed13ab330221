import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { EXIT } from '../../src/errors.ts';
import { runProgram } from '../support/world.ts';

const MANUAL = new URL('../../../man/poolkeeper.1', import.meta.url);

/** The options in a help text: `-n, --dry-run …`. */
function optionsOf(help: string): readonly string[] {
  return [...help.matchAll(/^ +(?:-\w, )?--([a-z-]+)/gm)].map(([, name]) => name ?? '');
}

function commandsOf(help: string): readonly string[] {
  return [...help.matchAll(/^ {2}poolkeeper (?:keyring )?([a-z]+)/gm)].map(([, name]) => name ?? '');
}

describe('the manual page', () => {
  let manual: string;
  let commands: readonly string[];
  const help = async (...words: readonly string[]): Promise<string> =>
    (await runProgram([...words, '--help'], tmpdir())).stdout;

  before(async () => {
    manual = await readFile(MANUAL, 'utf8');
    commands = commandsOf(await help());
  });

  it('names every command, and no other', () => {
    const documented = [...manual.matchAll(/^\.It Cm ([a-z]+)/gm)].map(([, name]) => name ?? '');
    expect([...new Set(documented)].toSorted()).to.deep.equal([...commands].toSorted());
  });

  it('names every option, and no other', async () => {
    const helps = await Promise.all([
      help(),
      ...commands.map((name) => help(name)),
      help('keyring', 'add'),
      help('keyring', 'list'),
      ...['run', 'list', 'release'].map((name) => help('lease', name)),
    ]);
    const documented = [...manual.matchAll(/^\.It .*Fl -([a-z-]+)/gm)].map(([, name]) => name ?? '');
    expect([...new Set(documented)].toSorted()).to.deep.equal([...new Set(helps.flatMap(optionsOf))].toSorted());
  });

  it('names every exit status, and no other', () => {
    const documented = [...manual.matchAll(/^\.It (\d+)$/gm)].map(([, status]) => Number(status));
    expect(documented).to.deep.equal(Object.values(EXIT));
  });
});
