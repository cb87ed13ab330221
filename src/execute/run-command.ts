import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { FailureError } from '../errors.ts';

export interface CommandToRun {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Calls the listener for every signal that asks this program to stop, until the returned function is called. */
  onStopSignal(this: void, listener: (signal: NodeJS.Signals) => void): () => void;
  /** Whether a terminal sends its interrupts to the command as well. */
  readonly isOnTerminal: boolean;
}

/**
 * Runs a command with the same input and outputs, and passes signals on to it.
 *
 * @returns its exit status, as shells have it: 128 and the number of the signal that ended it.
 * @throws FailureError when it cannot be started.
 */
export async function runCommand({ command, env, cwd, onStopSignal, isOnTerminal }: CommandToRun): Promise<number> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { env, cwd, stdio: 'inherit' });
  const ignoreSignals = onStopSignal((signal) => {
    if (!isOnTerminal || signal === 'SIGTERM') child.kill(signal);
  });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => reject(cannotRun(program, cause)));
      child.once('close', (status, signal) =>
        resolve(status ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      );
    });
  } finally {
    ignoreSignals();
  }
}

function cannotRun(program: string, cause: NodeJS.ErrnoException): FailureError {
  return new FailureError(`cannot run '${program}': ${cause.code ?? cause.message}`, {
    cause,
    hint: 'check that the program exists and may be executed',
  });
}
