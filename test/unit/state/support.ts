import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'mocha';
import { PoolkeeperError } from '../../../src/errors.ts';

/** The effective user of the tests; the project runs on Linux only, where it is never missing. */
export const UID = process.geteuid?.() ?? 0;

/** A directory of its own for each test of the suite, removed afterwards. */
export function temporaryDir(): (...parts: string[]) => string {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'poolkeeper-state-'));
  });
  afterEach(async () => {
    await rm(dir, { recursive: true, force: true });
  });
  return (...parts) => join(dir, ...parts);
}

/** The error a promise is rejected with; fails the test when it is not one of ours. */
export async function rejection(promise: Promise<unknown>): Promise<PoolkeeperError> {
  const outcome: unknown = await promise.then(
    () => 'nothing',
    (error: unknown) => error,
  );
  if (outcome instanceof PoolkeeperError) return outcome;
  throw new Error(`expected a PoolkeeperError, got ${String(outcome)}`, { cause: outcome });
}
