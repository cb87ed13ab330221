import { SourceError, TrustError } from '../errors.ts';
import { publicAddress, splitCredentials, type Address } from './address.ts';
import type { Headers } from './headers.ts';

export const MOST_REDIRECTS = 10;

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/**
 * Where an answer sends us next; `undefined` when it is not a redirect. Credentials stay with their origin.
 *
 * @throws SourceError when the target is no address.
 * @throws TrustError when it leaves http(s), or leaves https although `allowInsecure` is not set.
 */
export function redirectTarget(
  from: Address,
  answer: { readonly status: number; readonly headers: Headers },
  allowInsecure: boolean,
): Address | undefined {
  const location = answer.headers['location'];
  if (location === undefined || !REDIRECTS.includes(answer.status)) return undefined;
  const target = resolveLocation(from.url, location);
  assertAllowed(from.url, target, allowInsecure);
  const { url, authorization } = splitCredentials(target);
  return { url, authorization: authorization ?? (url.origin === from.url.origin ? from.authorization : undefined) };
}

/** The error for a chain of redirects that does not end. */
export function redirectLoop(url: URL): SourceError {
  const address = publicAddress(url);
  return new SourceError(`cannot fetch ${address}: more than ${MOST_REDIRECTS} redirects`, {
    hint: 'open the address in a browser, and give the one where it ends',
    url: address,
  });
}

function resolveLocation(from: URL, location: string): URL {
  if (URL.canParse(location, from.href)) return new URL(location, from);
  const address = publicAddress(from);
  throw new SourceError(`cannot fetch ${address}: it redirects to something that is not an address`, {
    hint: 'the server is set up wrongly: ask who runs it, or use another mirror',
    url: address,
  });
}

function assertAllowed(from: URL, target: URL, allowInsecure: boolean): void {
  const isDowngrade = from.protocol === 'https:' && target.protocol === 'http:';
  if (['http:', 'https:'].includes(target.protocol) && (!isDowngrade || allowInsecure)) return;
  throw new TrustError(`cannot fetch ${publicAddress(from)}: refused its redirect to ${publicAddress(target)}`, {
    hint: isDowngrade
      ? 'the way there is not encrypted: if that is meant, give the http address yourself'
      : 'only http and https are followed',
  });
}
