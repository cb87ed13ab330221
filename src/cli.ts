import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import yargs, { type Argv } from 'yargs';
import { type Command, COMMANDS } from './commands/commands.ts';
import { COMPLETE, type CommandContext, STANDARD_INPUT } from './commands/context.ts';
import { configure } from './commands/configuration.ts';
import { commonOptions } from './commands/options.ts';
import { nearNames } from './core/near-names.ts';
import { CommandExit, EXIT, InterruptedError, PoolkeeperError, UsageError } from './errors.ts';
import { isJournalStream } from './report/journal-stream.ts';
import { createReporter } from './report/reporter.ts';

/** What yargs says about options, in words of our own; those that count have two forms, which its declared types do not know. */
const COMPLAINTS = {
  'Not enough arguments following: %s': 'option %s needs a value',
  'Invalid values:': 'option',
  'Not enough non-option arguments: got %s, need at least %s': {
    one: 'got %s arguments, and needs at least %s',
    other: 'got %s arguments, and needs at least %s',
  },
  'Missing required argument: %s': { one: 'option %s is missing', other: 'options %s are missing' },
  'Unknown argument: %s': { one: 'unknown argument: %s', other: 'unknown argument: %s' },
  'Argument: %s, Given: %s, Choices: %s': '%s cannot be %s, only %s',
};

/** The signals that ask the program to stop, with the exit statuses that they lead to. */
const STOP_SIGNALS = [
  ['SIGINT', EXIT.interrupted],
  ['SIGTERM', EXIT.terminated],
  ['SIGHUP', EXIT.interrupted],
] as const;

/** Longer lines are hard to read; a terminal that is narrower has lines of its own width. */
const WIDEST_HELP = 100;

/** The command of uvtool whose arguments this program takes. */
const UVTOOL_COMMAND = 'uvt-simplestreams-libvirt';

/** Arguments of which every value counts. */
const LISTS: ReadonlySet<string> = new Set([
  '_',
  '--',
  'image',
  'words',
  'names',
  'filters',
  'files',
  'pools',
  'mirror',
  'tag',
  'untag',
]);

/** Seen from `dist/src` and from `dist/bundle`. */
const PACKAGE_ROOT = new URL('../../', import.meta.url);

/** Runs the command that the process was started with and sets its exit status. */
export async function main(): Promise<void> {
  const stop = new AbortController();
  for (const [signal, exitStatus] of STOP_SIGNALS) {
    process.once(signal, () => stop.abort(new InterruptedError(`stopped by ${signal}`, { exitStatus })));
  }
  // The kernel sends it when somebody opens a file while it is asked who has that open; by default it ends the program.
  process.on('SIGIO', () => undefined);
  process.stdout.on('error', ignoreBrokenPipe);
  process.stderr.on('error', ignoreBrokenPipe);
  const argv = argumentsOf(process.argv[1] ?? '', process.argv.slice(2));
  process.exitCode = await run(argv, createContext(argv, stop.signal));
}

/** Called by the name of uvtool's command, the program behaves as scripts expect of that: its `purge` asks nothing. */
function argumentsOf(program: string, words: readonly string[]): readonly string[] {
  if (basename(program) !== UVTOOL_COMMAND) return words;
  return words.flatMap((word) => (word === 'purge' ? [word, '--yes'] : [word]));
}

/** Parses arguments, runs the command they name and says how it ended. */
export async function run(argv: readonly string[], context: CommandContext): Promise<number> {
  if (argv[0] === COMPLETE) return printCompletion(argv.slice(1), context);
  try {
    await createParser(argv, context).parseAsync(toParsable(argv), {}, (_error, _arguments, output) => {
      if (output !== '') context.stdout.write(`${output}\n`);
    });
    return EXIT.done;
  } catch (thrown) {
    if (thrown instanceof CommandExit) return thrown.status;
    const error = toKnownError(thrown, argv);
    const json = ownWords(argv).includes('--json');
    createReporter({ ...context, json, quiet: false, verbose: false }).error(error);
    return error instanceof PoolkeeperError ? error.exitStatus : EXIT.failure;
  }
}

/** Whatever is wrong, a shell that completes a line is not the place to say so. */
async function printCompletion(words: readonly string[], context: CommandContext): Promise<number> {
  const { complete } = await import('./commands/complete.ts');
  const helpOf = async (command: readonly string[]): Promise<string> => {
    const help: string[] = [];
    const collect = (_error: unknown, _arguments: unknown, output: string): void => void help.push(output);
    await createParser([], context)
      .wrap(null)
      .parseAsync([...command, '--help'], {}, collect);
    return help.join('\n');
  };
  context.stdout.write(await complete(words, context, helpOf).catch(() => ''));
  return EXIT.done;
}

function createParser(argv: readonly string[], context: CommandContext): Argv {
  const parser: Argv = commonOptions(yargs());
  formatHelpOnDemand(parser);
  for (const command of commandsFor(argv)) command.add(parser, context);
  return addUnknownCommand(parser)
    .scriptName('poolkeeper')
    .usage('$0 COMMAND [OPTION…]\n\nKeep a libvirt storage pool in step with published cloud images')
    .parserConfiguration({ 'boolean-negation': false, 'greedy-arrays': false, 'parse-positional-numbers': false })
    .middleware(keepLast, true)
    .middleware(async (options) => {
      const command = commandNamed(options._[0]);
      if (command?.isConfigured === true) await configure(options, context, command.own);
    })
    .strict()
    .updateStrings(COMPLAINTS as unknown as Record<string, string>)
    .version(context.version)
    .epilogue("Every command has a manual page: 'man poolkeeper-sync', and 'man poolkeeper' for all of them")
    .help()
    .wrap(Math.min(WIDEST_HELP, context.stdout.columns ?? WIDEST_HELP))
    .exitProcess(false)
    .fail((message, error: Error | undefined) => {
      throw error ?? usageError(message, argv);
    });
}

/** The command that stands first, or all: telling yargs of every one takes a third of what Node takes to start. */
function commandsFor([first]: readonly string[]): readonly Command[] {
  const command = commandNamed(first);
  return command === undefined ? COMMANDS : [command];
}

function commandNamed(word: unknown): Command | undefined {
  return COMMANDS.find(({ name }) => name === word);
}

/** What yargs keeps inside, as far as it is used here. */
interface YargsInside {
  getInternalMethods?(): { getUsageInstance?(): { cacheHelpMessage?: () => void } };
}

/**
 * yargs formats the help whenever it starts a command, should that fail and the help be shown then. Here a failure never shows
 * it, and formatting takes a third of what Node takes to start. Without these methods, nothing is lost but that time.
 */
function formatHelpOnDemand(parser: Argv & YargsInside): void {
  const usage = parser.getInternalMethods?.().getUsageInstance?.();
  if (usage?.cacheHelpMessage !== undefined) usage.cacheHelpMessage = () => undefined;
}

/** What yargs itself throws, such as for a missing value, is the user's mistake as well; its class is not exported. */
function toKnownError(error: unknown, argv: readonly string[]): unknown {
  return error instanceof Error && error.name === 'YError' ? usageError(error.message, argv, error) : error;
}

function usageError(complaint: string, argv: readonly string[], cause?: Error): UsageError {
  const line = withoutCamelCase(complaint).replaceAll(/\s*\n\s*/g, ' ');
  return new UsageError(line.charAt(0).toLowerCase() + line.slice(1), { cause, hint: helpFor(argv) });
}

/** yargs names an unknown `--no-such` a second time, as the `noSuch` that it made of it. */
function withoutCamelCase(complaint: string): string {
  return complaint.replaceAll(/([\w-]+), (\w+)/g, (both, dashed: string, other: string) =>
    dashed.replaceAll(/-(\w)/g, (_dash, letter: string) => letter.toUpperCase()) === other ? dashed : both,
  );
}

/** The options of a command stand in the help of that command. */
function helpFor(argv: readonly string[]): string {
  const known = argv.find((word) => commandNamed(word) !== undefined);
  return ['see poolkeeper', known, '--help'].filter((word) => word !== undefined).join(' ');
}

/** Takes every word that is no command, whatever stands behind it, and says what was probably meant. */
function addUnknownCommand(parser: Argv): Argv {
  return parser.command(
    '$0',
    false,
    (own) => own.strict(false).demandCommand(0),
    ({ _: [first] }) => {
      const word = first?.toString();
      if (word === undefined) throw new UsageError('name a command', { hint: helpFor([]) });
      const names = COMMANDS.map(({ name }) => name);
      const [near] = nearNames(word, names);
      throw new UsageError(`there is no command '${word}'`, {
        hint: near === undefined ? helpFor([]) : `did you mean '${near}'?`,
      });
    },
  );
}

/**
 * `--create-pool` takes a value only behind `=`; alone it must not swallow the word that follows. A lone dash, which
 * means standard input, would be dropped. What stands behind `--` may be another program's.
 */
function toParsable(argv: readonly string[]): readonly string[] {
  const own = ownWords(argv);
  const parsable = own.map((word) => {
    if (word === '--create-pool') return '--create-pool=';
    return word === '-' ? STANDARD_INPUT : word;
  });
  return [...parsable, ...argv.slice(own.length)];
}

/** The arguments before `--`. */
function ownWords(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end === -1 ? argv : argv.slice(0, end);
}

/** Of an option that is given again the last value counts, so that a script can override what it was given. */
function keepLast(values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) {
    if (Array.isArray(value) && !LISTS.has(name)) values[name] = value.at(-1);
  }
}

function createContext(argv: readonly string[], signal: AbortSignal): CommandContext {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    isInteractive: process.stdin.isTTY && process.stderr.isTTY,
    isJournal: isJournalStream(2, process.env),
    env: process.env,
    cwd: process.cwd(),
    uid: process.geteuid?.() ?? 0,
    architecture: process.arch,
    pid: process.pid,
    clock: { now: () => Date.now() },
    signal,
    onStopSignal: (listener) => {
      for (const [name] of STOP_SIGNALS) process.on(name, listener);
      return () => {
        for (const [name] of STOP_SIGNALS) process.off(name, listener);
      };
    },
    version: readVersion(),
    packageRoot: PACKAGE_ROOT,
    wordsBehindDashes: argv.slice(ownWords(argv).length + 1),
  };
}

function readVersion(): string {
  const text = readFileSync(new URL('package.json', PACKAGE_ROOT), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}

function ignoreBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
