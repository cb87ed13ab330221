import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { PoolkeeperError } from '../errors.ts';
import { errnoCode, fileError } from './file-error.ts';

/** A file of which only the name is known. */
export interface UnreadableFile {
  readonly name: string;
  readonly error: PoolkeeperError;
}

/**
 * Lists a directory in the order of the names; one that is not there has no entries.
 *
 * @throws FailureError when it cannot be listed.
 */
export async function listDirectory(dir: string): Promise<readonly Dirent[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (cause) {
    if (errnoCode(cause) === 'ENOENT') return [];
    throw fileError(`cannot read directory '${dir}'`, cause);
  }
}

/** What `read` gives, or the error with which it says that one file cannot be used. Bugs are not caught. */
export async function attempt<T>(read: () => Promise<T>): Promise<T | PoolkeeperError> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof PoolkeeperError) return error;
    throw error;
  }
}
