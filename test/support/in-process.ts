import { Readable } from 'node:stream';
import { run } from '../../src/cli.ts';
import type { CommandContext } from '../../src/commands/context.ts';
import type { PoolArguments } from '../../src/commands/options.ts';
import type { Run, World } from './world.ts';

/** What a command in the test's own process is given to run with, and what it wrote. */
export interface InProcess {
  readonly context: CommandContext;
  readonly options: PoolArguments;
  readonly written: { stdout: string; stderr: string };
}

/** For runs that are too many for a process each. The clock is the real one unless the test brings another. */
export function inProcess(world: World, now: () => number = () => Date.now()): InProcess {
  const written = { stdout: '', stderr: '' };
  const context: CommandContext = {
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    stdin: Readable.from([]),
    isInteractive: false,
    isJournal: false,
    env: process.env,
    cwd: world.root,
    uid: process.geteuid?.() ?? 0,
    architecture: process.arch,
    pid: process.pid,
    clock: { now },
    signal: new AbortController().signal,
    onStopSignal: () => () => undefined,
    version: '0.0.0',
    packageRoot: new URL('../../../', import.meta.url),
    wordsBehindDashes: [],
  };
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
  const status = await run([...world.options, ...args], context);
  return { status, ...written };
}
