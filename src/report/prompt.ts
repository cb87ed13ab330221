import { createInterface } from 'node:readline/promises';

/** Where questions are asked and answered. */
export interface Terminal {
  readonly stdin: NodeJS.ReadableStream;
  readonly stderr: { write(text: string): unknown };
}

/**
 * Asks one question on standard error and returns the answer without surrounding blanks; the empty string at end of input.
 *
 * @throws the reason of the signal when the program is stopped meanwhile: that is no answer.
 */
export async function ask(question: string, terminal: Terminal, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  terminal.stderr.write(question);
  const lines = createInterface({ input: terminal.stdin, terminal: false, signal });
  try {
    for await (const line of lines) return line.trim();
    signal.throwIfAborted();
    return '';
  } finally {
    lines.close();
  }
}

/** Asks a question that only a clear yes answers with yes. */
export async function confirm(question: string, terminal: Terminal, signal: AbortSignal): Promise<boolean> {
  const answer = await ask(`${question} [N] Yes/No: `, terminal, signal);
  return /^y(es)?$/i.test(answer);
}
