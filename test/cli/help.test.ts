import { expect } from 'chai';
import { tmpdir } from 'node:os';
import { run } from '../../src/cli.ts';
import { COMMANDS } from '../../src/commands/commands.ts';
import { contextIn } from '../support/in-process.ts';

/** A help fits a terminal of this many lines without scrolling far. */
const MOST_LINES = 60;

async function helpOf(...words: readonly string[]): Promise<string> {
  const { context, written } = contextIn(tmpdir());
  expect(await run([...words, '--help'], context)).to.equal(0);
  expect(written.stderr).to.equal('');
  return written.stdout.trimEnd();
}

describe('the help', () => {
  it('of the program is under 60 lines, and names every command and the manual', async () => {
    const help = await helpOf();
    expect(help.split('\n')).to.have.lengthOf.below(MOST_LINES);
    const named = [...help.matchAll(/^ {2}poolkeeper ([a-z]+)/gm)].map(([, name]) => name);
    expect(named).to.deep.equal(COMMANDS.map(({ name }) => name));
    expect(help).to.not.include('Positionals');
    expect(help.split('\n').at(-1)).to.include('man poolkeeper');
  });

  for (const { name } of COMMANDS) {
    it(`of ${name} is under 60 lines, and names its manual page`, async () => {
      const lines = (await helpOf(name)).split('\n');
      expect(lines).to.have.lengthOf.below(MOST_LINES);
      expect(lines.at(-1)).to.equal(`Examples and more: 'man poolkeeper-${name}'`);
    });
  }
});
