import type { Readable } from 'node:stream';
import type { Clock } from '../core/ports.ts';
import type { TextSink } from '../report/surface.ts';

/** What `-` on the command line stands for. */
export const STANDARD_INPUT = '/dev/stdin';

/** The command, not in any help, by which the scripts of `completion` ask what may stand at the end of a line. */
export const COMPLETE = '__complete';

/** What a command may know of the process that it runs in. Only the command line reads `process`. */
export interface CommandContext {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly stdin: Readable;
  /** Whether questions can be asked: standard input and standard error are a terminal. */
  readonly isInteractive: boolean;
  /** Whether standard error is read by the journal. */
  readonly isJournal: boolean;
  /** Called with every failure that is reported; by default nobody counts them. */
  onError?(this: void, error: unknown): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly uid: number;
  /** As Node names it (`process.arch`). */
  readonly architecture: string;
  readonly pid: number;
  readonly clock: Clock;
  /** Aborted when the user or the system asks the program to stop. */
  readonly signal: AbortSignal;
  /** Calls the listener for every such request, the first included, until the returned function is called. */
  onStopSignal(this: void, listener: (signal: NodeJS.Signals) => void): () => void;
  readonly version: string;
  /** The directory with `package.json`; a bundle has moved the module that asks. */
  readonly packageRoot: URL;
  /** The words behind `--`, for commands that run another one. As they are: yargs would turn `007` into a number. */
  readonly wordsBehindDashes: readonly string[];
}
