import { readFileSync } from 'node:fs';
import yargs from 'yargs';
import type { CommandContext } from './commands/context.ts';
import { keyringCommand } from './commands/keyring.ts';
import { commonOptions } from './commands/options.ts';
import { purgeCommand } from './commands/purge.ts';
import { queryCommand } from './commands/query.ts';
import { syncCommand } from './commands/sync.ts';
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
  return commonOptions(yargs())
    .scriptName('poolkeeper')
    .usage('$0 COMMAND [OPTION…]\n\nKeep a libvirt storage pool in step with published cloud images')
    .parserConfiguration({ 'boolean-negation': false })
    .middleware(keepLast, true)
    .command(syncCommand(context))
    .command(queryCommand(context))
    .command(purgeCommand(context))
    .command(keyringCommand(context))
    .demandCommand(1, 'name a command')
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

/** What may be a list; of any other option that is given several times, the last counts. */
const LISTS: ReadonlySet<string> = new Set(['_', 'filters']);

/** The parser's own setting for this would keep only the last filter as well. */
function keepLast(options: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(options)) {
    if (Array.isArray(value) && !LISTS.has(name)) options[name] = value.at(-1);
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
