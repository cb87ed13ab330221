import { readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { type CommandContext, STANDARD_INPUT } from './commands/context.ts';
import { commonOptions } from './commands/options.ts';
import { EXIT, type ExitStatus, InterruptedError, PoolkeeperError, UsageError } from './errors.ts';
import { createReporter } from './report/reporter.ts';

/** Adds a command to the parser. */
type Adder = (parser: Argv, context: CommandContext) => Promise<unknown>;

/** Every command by its name, loaded only when it is needed: libraries take longer to load than some commands to run. */
const COMMANDS: Readonly<Record<string, Adder>> = {
  sync: async (parser, context) => parser.command((await import('./commands/sync.ts')).syncCommand(context)),
  query: async (parser, context) => parser.command((await import('./commands/query.ts')).queryCommand(context)),
  purge: async (parser, context) => parser.command((await import('./commands/purge.ts')).purgeCommand(context)),
  why: async (parser, context) => parser.command((await import('./commands/why.ts')).whyCommand(context)),
  references: async (parser, context) =>
    parser.command((await import('./commands/references.ts')).referencesCommand(context)),
  orphans: async (parser, context) => parser.command((await import('./commands/orphans.ts')).orphansCommand(context)),
  keyring: async (parser, context) => parser.command((await import('./commands/keyring.ts')).keyringCommand(context)),
};

/** Arguments of which there may be several. */
const LISTS: ReadonlySet<string> = new Set(['_', 'filters', 'files', 'pools']);

/** Runs the command that the process was started with and sets its exit status. */
export async function main(): Promise<void> {
  const stop = new AbortController();
  const signals = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated, SIGHUP: EXIT.interrupted };
  for (const [signal, exitStatus] of Object.entries(signals)) {
    process.once(signal, () => stop.abort(new InterruptedError(`stopped by ${signal}`, { exitStatus })));
  }
  process.stdout.on('error', ignoreBrokenPipe);
  process.stderr.on('error', ignoreBrokenPipe);
  process.exitCode = await run(process.argv.slice(2), createContext(stop.signal));
}

/** Parses arguments, runs the command they name and says how it ended. */
async function run(argv: readonly string[], context: CommandContext): Promise<ExitStatus> {
  try {
    const parser = createParser(context);
    await addCommands(parser, argv, context);
    await parser.parseAsync(argv.map(toParsable), {}, (_error, _arguments, output) => {
      if (output !== '') context.stdout.write(`${output}\n`);
    });
    return EXIT.done;
  } catch (error) {
    const json = argv.includes('--json');
    createReporter({ ...context, json, quiet: false, verbose: false }).error(error);
    return error instanceof PoolkeeperError ? error.exitStatus : EXIT.failure;
  }
}

/** Adds the commands that the arguments may mean; all of them when they name none, for the help text. */
async function addCommands(parser: Argv, argv: readonly string[], context: CommandContext): Promise<void> {
  const commands = Object.entries(COMMANDS);
  const named = commands.filter(([name]) => argv.includes(name));
  for (const [, add] of named.length > 0 ? named : commands) await add(parser, context);
}

function createParser(context: CommandContext): Argv {
  return commonOptions(yargs())
    .scriptName('poolkeeper')
    .usage('$0 COMMAND [OPTION…]\n\nKeep a libvirt storage pool in step with published cloud images')
    .parserConfiguration({ 'boolean-negation': false, 'parse-positional-numbers': false })
    .middleware(keepLast, true)
    .demandCommand(1, 'name a command')
    .strict()
    .version(context.version)
    .help()
    .wrap(100)
    .exitProcess(false)
    .fail((message, error: Error | undefined) => {
      // What yargs itself throws, such as a missing value, is the user's mistake as well.
      if (error !== undefined && error.name !== 'YError') throw error;
      throw new UsageError(message, { cause: error, hint: 'see poolkeeper --help' });
    });
}

/**
 * `--create-pool` takes a value only behind `=`; alone it must not swallow the word that follows. A lone dash, which
 * means standard input, would be dropped.
 */
function toParsable(word: string): string {
  if (word === '--create-pool') return '--create-pool=';
  return word === '-' ? STANDARD_INPUT : word;
}

/** Of an option that is given again the last value counts, unless it is a list. */
function keepLast(values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) {
    if (Array.isArray(value) && !LISTS.has(name)) values[name] = value.at(-1);
  }
}

function createContext(signal: AbortSignal): CommandContext {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    isInteractive: process.stdin.isTTY && process.stderr.isTTY,
    env: process.env,
    cwd: process.cwd(),
    uid: process.geteuid?.() ?? 0,
    architecture: process.arch,
    pid: process.pid,
    clock: { now: () => Date.now() },
    signal,
    version: readVersion(),
  };
}

function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}

function ignoreBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
