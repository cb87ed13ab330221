import { readFileSync } from 'node:fs';
import yargs, { type Argv, type CommandModule } from 'yargs';
import type { CommandContext } from './commands/context.ts';
import { commonOptions, type Verb } from './commands/options.ts';
import { nearMatches } from './core/near-match.ts';
import { EXIT, type ExitStatus, InterruptedError, PoolkeeperError, UsageError } from './errors.ts';
import { createReporter } from './report/reporter.ts';

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
    await createParser(context).parseAsync(argv.map(withEmptyValue), {}, (_error, _arguments, output) => {
      if (output !== '') context.stdout.write(`${output}\n`);
    });
    return EXIT.done;
  } catch (error) {
    const json = argv.includes('--json');
    createReporter({ ...context, json, quiet: false, verbose: false }).error(error);
    return error instanceof PoolkeeperError ? error.exitStatus : EXIT.failure;
  }
}

function createParser(context: CommandContext) {
  return withCommands(commonOptions(yargs()), context)
    .scriptName('poolkeeper')
    .usage('$0 COMMAND [OPTION…]\n\nKeep a libvirt storage pool in step with published cloud images')
    .parserConfiguration({ 'boolean-negation': false, 'greedy-arrays': false })
    .middleware(lastValueCounts, true)
    .strict()
    .version(context.version)
    .help()
    .wrap(100)
    .exitProcess(false)
    .fail((message, error) => {
      throw isComplaint(error) ? usageError(message) : error;
    });
}

/** The parser complains with no error at all, or with one of its own class, which it does not export. */
function isComplaint(error: Error | undefined): boolean {
  return error === undefined || error.name === 'YError';
}

function usageError(complaint: string): UsageError {
  const message = complaint.charAt(0).toLowerCase() + complaint.slice(1);
  return new UsageError(message, { hint: 'see poolkeeper --help' });
}

/** For near matches of a mistyped command. */
const COMMANDS = ['sync', 'query', 'purge', 'keyring'];

/** Registers every command; its modules are loaded only when it is the one that was asked for. */
function withCommands<T>(parser: Argv<T>, context: CommandContext): Argv<T> {
  return parser
    .command(
      lazily('sync [filters..]', 'fetch new images, retire old ones, delete what nothing needs', async () =>
        (await import('./commands/sync.ts')).syncCommand(context),
      ),
    )
    .command(
      lazily('query [filters..]', 'list the images that are offered to new domains', async () =>
        (await import('./commands/query.ts')).queryCommand(context),
      ),
    )
    .command(
      lazily('purge', 'withdraw all images and delete those that nothing needs', async () =>
        (await import('./commands/purge.ts')).purgeCommand(context),
      ),
    )
    .command(
      lazily('keyring', 'add or list the keys that sources are verified with', async () =>
        (await import('./commands/keyring.ts')).keyringCommand(context),
      ),
    )
    .command(unknownCommand());
}

function lazily<T>(command: string, describe: string, load: () => Promise<Verb<T>>): CommandModule<object, T> {
  return {
    command,
    describe,
    builder: async (parser) => (await load()).builder(parser),
    handler: async (options) => (await load()).handler(options),
  };
}

/** Takes every word that is no command, whatever stands behind it, and says what was probably meant. */
function unknownCommand(): CommandModule<object, { readonly word: string | undefined }> {
  return {
    command: '$0 [word]',
    describe: false,
    builder: (parser) => parser.positional('word', { type: 'string', hidden: true }).strict(false),
    handler: ({ word }) => {
      const see = 'see poolkeeper --help';
      if (word === undefined) throw new UsageError('name a command', { hint: see });
      const [near] = nearMatches(word, COMMANDS);
      throw new UsageError(`there is no command '${word}'`, {
        hint: near === undefined ? see : `did you mean '${near}'?`,
      });
    },
  };
}

/** Options of which every value counts. */
const LISTS: readonly string[] = ['_', 'filters', 'mirror'];

/** Of an option that is given twice the last value counts, so that a script can override what it was given. */
function lastValueCounts(options: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(options)) {
    if (Array.isArray(value) && !LISTS.includes(name)) options[name] = value.at(-1);
  }
}

/** `--create-pool` takes a value only behind `=`; alone it must not swallow the word that follows. */
function withEmptyValue(word: string): string {
  return word === '--create-pool' ? '--create-pool=' : word;
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
