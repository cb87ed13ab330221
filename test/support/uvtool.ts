import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SCRIPT = fileURLToPath(new URL('../../../test/support/uvtool.py', import.meta.url));

/** What uvtool would print or write (see `uvtool.py`); rejects when it would die of an exception. */
export async function uvtool(command: 'query' | 'flatten', ...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('python3', [SCRIPT, command, ...args])).stdout;
}
