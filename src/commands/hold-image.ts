import type { Argv } from 'yargs';
import { parseDuration } from '../core/duration.ts';
import { LONGEST_LEASE_MS } from '../core/lease.ts';
import { UsageError } from '../errors.ts';
import { type HeldImage, withHeldImage } from '../execute/hold-image.ts';
import { chooseImage, type ImageQuestion } from './choose-image.ts';
import type { Session } from './session.ts';

/** Adds `--any` to a command on an image. */
export function anyOption<T>(yargs: Argv<T>) {
  return yargs.option('any', {
    type: 'boolean',
    default: false,
    describe: 'also take a volume that is not offered to new domains',
  });
}

/** How long a lease is promised for. @throws UsageError for none at all, and for more than a day. */
export function parseTtl(text: string): number {
  const ttlMs = parseDuration(text, '--ttl');
  if (ttlMs >= 1 && ttlMs <= LONGEST_LEASE_MS) return ttlMs;
  throw new UsageError(`a lease cannot be for '${text}'`, { hint: '--ttl takes up to 24h' });
}

/** Chooses an image and holds it for the time of `use`. */
export async function holdImage<T>(
  session: Session,
  request: ImageQuestion & { readonly command: readonly string[]; readonly ttlMs: number },
  use: (held: HeldImage) => Promise<T>,
): Promise<T> {
  const { paths, context } = session;
  const { clock, pid, uid, signal } = context;
  const { command, ttlMs } = request;
  const choose = () => chooseImage(session, request);
  return withHeldImage({ paths, command, ttlMs, now: clock.now(), pid, uid, signal, choose }, use);
}
