import { expect } from 'chai';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { run } from '../../src/cli.ts';
import { EXIT } from '../../src/errors.ts';
import { contextIn } from '../support/in-process.ts';

const ROOT = new URL('../../../', import.meta.url);

/** A command as the program's help shows it. */
interface HelpedCommand {
  /** `lease`, or `lease run`. */
  readonly words: string;
  readonly options: readonly string[];
  readonly subcommands: readonly HelpedCommand[];
}

/** Reads a command's help, and that of the commands in it. */
async function readHelp(words: string): Promise<HelpedCommand> {
  const { context, written } = contextIn(tmpdir());
  await run([...words.split(' ').filter(Boolean), '--help'], context);
  const { stdout } = written;
  const inner = [...stdout.matchAll(/^ {2}poolkeeper ([a-z-]+(?: [a-z-]+)*)(?= {2}| [<[]|\n)/gm)];
  return {
    words,
    options: [...stdout.matchAll(/^ +(?:-\w, )?--([a-z-]+)/gm)].map(([, name]) => name ?? ''),
    subcommands: await Promise.all(inner.map(([, name]) => readHelp(name ?? ''))),
  };
}

function leavesOf(command: HelpedCommand): readonly HelpedCommand[] {
  return command.subcommands.length === 0 ? [command] : command.subcommands.flatMap(leavesOf);
}

/** The heads of a page's list entries that match, each once, in alphabetical order. */
function entries(page: string, pattern: RegExp): readonly string[] {
  return sorted([...page.matchAll(pattern)].map(([, name]) => name ?? ''));
}

function sorted(names: Iterable<string>): readonly string[] {
  return [...new Set(names)].toSorted();
}

const OPTION_ENTRY = /^\.It (?:Fl \w , )?Fl -([a-z-]+)/gm;
const COMMAND_ENTRY = /^\.It Cm ([a-z-]+)/gm;
const STATUS_ENTRY = /^\.It (\d+)$/gm;

function readManual(name: string): Promise<string> {
  return readFile(new URL(`man/${name}`, ROOT), 'utf8');
}

describe('the manual', () => {
  let program: HelpedCommand;
  let overview: string;

  before(async () => {
    [program, overview] = await Promise.all([readHelp(''), readManual('poolkeeper.1')]);
  });

  it('has an overview that names every command and every common option, and no other', () => {
    expect(entries(overview, COMMAND_ENTRY)).to.deep.equal(sorted(program.subcommands.map(({ words }) => words)));
    expect(entries(overview, OPTION_ENTRY)).to.deep.equal(sorted(program.options));
  });

  it('has an overview that names every exit status, and no other', () => {
    const documented = [...overview.matchAll(STATUS_ENTRY)].map(([, status]) => Number(status));
    expect(documented).to.deep.equal(Object.values(EXIT));
  });

  it('has a page for every command, and refers to it', async () => {
    const pages = (await readdir(new URL('man/', ROOT))).filter((name) => name.endsWith('.1'));
    const wanted = program.subcommands.map(({ words }) => `poolkeeper-${words}`);
    expect(pages.toSorted()).to.deep.equal(sorted([...wanted, 'poolkeeper'].map((name) => `${name}.1`)));
    expect(entries(overview, /^\.Xr (poolkeeper-[a-z-]+) 1/gm)).to.deep.equal(sorted(wanted));
  });

  it('has pages that name every option of their command beyond the common ones, and no other', async () => {
    const [documented, helped]: [Record<string, unknown>, Record<string, unknown>] = [{}, {}];
    for (const command of program.subcommands) {
      const all = leavesOf(command).flatMap(({ options }) => options);
      helped[command.words] = sorted(all.filter((option) => !program.options.includes(option)));
      documented[command.words] = entries(await readManual(`poolkeeper-${command.words}.1`), OPTION_ENTRY);
    }
    expect(documented).to.deep.equal(helped);
  });

  it('has pages that show how each command is called, in general and by an example', async () => {
    for (const command of program.subcommands) {
      const page = await readManual(`poolkeeper-${command.words}.1`);
      const synopsis = entries(page, /^\.Nm poolkeeper ([a-z -]+)$/gm);
      expect(synopsis).to.include.members(leavesOf(command).map(({ words }) => words));
      const [, examples] = page.split('.Sh EXAMPLES\n');
      expect(examples, command.words).to.match(new RegExp(`poolkeeper ${command.words}`));
    }
  });

  it('has pages that name no exit status which the program does not have', async () => {
    for (const { words } of program.subcommands) {
      const documented = entries(await readManual(`poolkeeper-${words}.1`), STATUS_ENTRY);
      expect(Object.values(EXIT).map(String), words).to.include.members([...documented]);
    }
  });

  it('is listed in package.json, each page, so that npm installs it', async () => {
    const { man } = JSON.parse(await readFile(new URL('package.json', ROOT), 'utf8')) as { man: string[] };
    const files = (await readdir(new URL('man/', ROOT))).map((name) => `man/${name}`);
    expect(man.toSorted()).to.deep.equal(files.toSorted());
  });
});
