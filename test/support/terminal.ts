import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../../bin/poolkeeper.js', import.meta.url));

/** A question that is expected, and what is typed then; a function may do something else first. */
export type Answer = readonly [question: string, answer: string | (() => Promise<string>)];

/** Runs the program on a terminal of its own (script, from bsdutils) and answers its questions in turn. */
export async function runInTerminal(
  args: readonly string[],
  answers: readonly Answer[],
  columns = 80,
): Promise<{ readonly status: number; readonly output: string }> {
  const program = [process.execPath, PROGRAM, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const command = `stty cols ${columns} rows 24 && exec ${program}`;
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const waiting = [...answers];
  let output = '';
  let answered = 0;
  child.stdout.setEncoding('utf8');
  for await (const text of child.stdout) {
    output += String(text);
    const [question, answer] = waiting[0] ?? [];
    if (question === undefined || answer === undefined || !output.includes(question, answered)) continue;
    waiting.shift();
    answered = output.length;
    child.stdin.write(`${typeof answer === 'string' ? answer : await answer()}\n`);
  }
  await closed;
  return { status: child.exitCode ?? -1, output: output.replaceAll('\r\n', '\n') };
}
