import { Readable } from 'node:stream';
import { run } from '../../src/cli.ts';
import type { CommandContext } from '../../src/commands/context.ts';
import type { PoolArguments } from '../../src/commands/options.ts';
import { bootTimeMs } from '../../src/util/kernel.ts';
import type { Run, World } from './world.ts';

/** What a command in the test's own process is given to run with, and what it wrote. */
export interface InProcess {
  readonly context: CommandContext;
  readonly options: PoolArguments;
  readonly written: { stdout: string; stderr: string };
}

/**
 * A context whose outputs are kept. The clock is the real one unless the test brings another; then as much time has passed
 * since the boot as that clock says, unless the test says otherwise.
 */
export function contextIn(
  cwd: string,
  now: () => number = () => Date.now(),
  sinceBoot: () => number = () => bootTimeMs() + now() - Date.now(),
): Omit<InProcess, 'options'> {
  const written = { stdout: '', stderr: '' };
  const context: CommandContext = {
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    stdin: Readable.from([]),
    isInteractive: false,
    isJournal: false,
    env: process.env,
    cwd,
    uid: process.geteuid?.() ?? 0,
    architecture: process.arch,
    pid: process.pid,
    clock: { now, sinceBoot },
    signal: new AbortController().signal,
    onStopSignal: () => () => undefined,
    version: '0.0.0',
    packageRoot: new URL('../../../', import.meta.url),
    wordsBehindDashes: [],
  };
  return { context, written };
}

/** For runs that are too many for a process each. */
export function inProcess(world: World, now?: () => number, sinceBoot?: () => number): InProcess {
  const { context, written } = contextIn(world.root, now, sinceBoot);
  const options: PoolArguments = {
    connect: world.libvirtd.uri,
    stateDir: `${world.root}/state`,
    metadataDir: world.metadata,
    cacheDir: `${world.root}/cache`,
    json: false,
    quiet: false,
    verbose: false,
    pool: 'uvtool',
  };
  return { context, options, written };
}

/** Runs a whole command line in the test's own process, with the host's options. */
export async function runInProcess(world: World, args: readonly string[]): Promise<Run> {
  const { context, written } = inProcess(world);
  const dashes = args.indexOf('--');
  const wordsBehindDashes = dashes === -1 ? [] : args.slice(dashes + 1);
  const status = await run([...world.options, ...args], { ...context, wordsBehindDashes });
  return { status, ...written };
}
