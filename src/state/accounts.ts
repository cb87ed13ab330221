import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { UsageError } from '../errors.ts';

const run = promisify(execFile);

/** The account databases that names are looked up in. */
type Database = 'passwd' | 'group';

/**
 * The number of a user or a group of this host, by name or number, wherever the host keeps its accounts (getent(1)).
 *
 * @throws UsageError when there is none of that name.
 */
export async function lookupAccount(database: Database, name: string): Promise<number> {
  if (/^\d{1,10}$/.test(name)) return Number(name);
  const kind = database === 'passwd' ? 'user' : 'group';
  if (!/^[\p{L}_][\p{L}\p{N}_.@-]*\$?$/u.test(name))
    throw new UsageError(`'${name}' cannot be the name of a ${kind}`, { hint: hintFor(database) });
  const { stdout } = await run('getent', [database, name]).catch((cause: unknown) => {
    throw new UsageError(`there is no ${kind} '${name}' on this host`, { cause, hint: hintFor(database) });
  });
  return Number(stdout.split(':')[2]);
}

function hintFor(database: Database): string {
  return `give a number, or a name that 'getent ${database}' lists`;
}
