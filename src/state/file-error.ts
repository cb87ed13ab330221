import { FailureError, IntegrityError, NoSpaceError, PoolkeeperError } from '../errors.ts';
import { errnoCode } from '../util/errno.ts';
import { serviceHint } from './service-limits.ts';

interface Explanation {
  readonly type: new (message: string, details: { cause: unknown; hint: string }) => PoolkeeperError;
  readonly reason: string;
  readonly hint: string;
}

const DENIED = { type: FailureError, reason: 'permission denied', hint: 'run as root or as the owner of that path' };

const EXPLANATIONS: ReadonlyMap<string, Explanation> = new Map<string, Explanation>([
  ['ENOSPC', { type: NoSpaceError, reason: 'no space left', hint: 'free some space on that file system' }],
  ['EDQUOT', { type: NoSpaceError, reason: 'quota exceeded', hint: 'free some space or raise the quota' }],
  ['EROFS', { type: FailureError, reason: 'read-only file system', hint: 'mount it writable or move the directory' }],
  ['EACCES', DENIED],
  ['EPERM', DENIED],
  [
    'ENOTDIR',
    { type: FailureError, reason: 'a part of it is not a directory', hint: 'move that file away or name another path' },
  ],
  ['ELOOP', { type: IntegrityError, reason: 'it is a symbolic link', hint: 'put a real file or directory there' }],
]);

/**
 * Turns a failed system call into an error the user can act on. Errors of poolkeeper and errors without a code (bugs)
 * are passed through as they are.
 *
 * @param what what failed and on what, e.g. `cannot write '/x'`
 */
export function fileError(what: string, cause: unknown): Error {
  const code = errnoCode(cause);
  if (cause instanceof PoolkeeperError || (cause instanceof Error && code === undefined)) return cause;
  const explanation = EXPLANATIONS.get(code ?? '');
  if (explanation === undefined) return new FailureError(`${what}: ${code ?? String(cause)}`, { cause });
  const { type, reason, hint } = explanation;
  return new type(`${what}: ${reason}`, { cause, hint: limitHint(code, cause) ?? hint });
}

/** What to do where this process is a service that may less than root. */
function limitHint(code: string | undefined, cause: unknown): string | undefined {
  if (code !== 'EROFS' && code !== 'EACCES' && code !== 'EPERM') return undefined;
  if (!(cause instanceof Error) || !('path' in cause) || typeof cause.path !== 'string') return undefined;
  return serviceHint(code, cause.path);
}
