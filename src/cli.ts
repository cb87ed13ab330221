import { readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { COMMANDS } from './commands/commands.ts';
import { type CommandContext, STANDARD_INPUT } from './commands/context.ts';
import { commonOptions } from './commands/options.ts';
import { nearMatches } from './core/near-match.ts';
import { EXIT, type ExitStatus, InterruptedError, PoolkeeperError, UsageError } from './errors.ts';
import { createReporter } from './report/reporter.ts';

const SEE_HELP = 'see poolkeeper --help';

/** Arguments of which every value counts. */
const LISTS: ReadonlySet<string> = new Set(['_', 'filters', 'files', 'image', 'pools', 'mirror']);

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
    await createParser(context).parseAsync(argv.map(toParsable), {}, (_error, _arguments, output) => {
      if (output !== '') context.stdout.write(`${output}\n`);
    });
    return EXIT.done;
  } catch (thrown) {
    const error = toKnownError(thrown);
    const json = argv.includes('--json');
    createReporter({ ...context, json, quiet: false, verbose: false }).error(error);
    return error instanceof PoolkeeperError ? error.exitStatus : EXIT.failure;
  }
}

function createParser(context: CommandContext): Argv {
  const parser: Argv = commonOptions(yargs());
  for (const command of COMMANDS) command.add(parser, context);
  return addUnknownCommand(parser)
    .scriptName('poolkeeper')
    .usage('$0 COMMAND [OPTION…]\n\nKeep a libvirt storage pool in step with published cloud images')
    .parserConfiguration({ 'boolean-negation': false, 'greedy-arrays': false, 'parse-positional-numbers': false })
    .middleware(keepLast, true)
    .strict()
    .version(context.version)
    .help()
    .wrap(100)
    .exitProcess(false)
    .fail((message, error: Error | undefined) => {
      throw error ?? usageError(message);
    });
}

/** What yargs itself throws, such as for a missing value, is the user's mistake as well; its class is not exported. */
function toKnownError(error: unknown): unknown {
  return error instanceof Error && error.name === 'YError' ? usageError(error.message, error) : error;
}

function usageError(complaint: string, cause?: Error): UsageError {
  return new UsageError(complaint.charAt(0).toLowerCase() + complaint.slice(1), { cause, hint: SEE_HELP });
}

/** Takes every word that is no command, whatever stands behind it, and says what was probably meant. */
function addUnknownCommand(parser: Argv): Argv {
  return parser.command(
    '$0 [word]',
    false,
    (own) => own.positional('word', { type: 'string', hidden: true }).strict(false),
    ({ word }) => {
      if (word === undefined) throw new UsageError('name a command', { hint: SEE_HELP });
      const names = COMMANDS.map(({ name }) => name);
      const [near] = nearMatches(word, names);
      throw new UsageError(`there is no command '${word}'`, {
        hint: near === undefined ? SEE_HELP : `did you mean '${near}'?`,
      });
    },
  );
}

/**
 * `--create-pool` takes a value only behind `=`; alone it must not swallow the word that follows. A lone dash, which
 * means standard input, would be dropped.
 */
function toParsable(word: string): string {
  if (word === '--create-pool') return '--create-pool=';
  return word === '-' ? STANDARD_INPUT : word;
}

/** Of an option that is given again the last value counts, so that a script can override what it was given. */
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
