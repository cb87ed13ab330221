import { InterruptedError, PoolkeeperError, SourceError } from '../errors.ts';
import { publicAddress } from './address.ts';

/** A request that went wrong, as far as a message may show it. */
export interface FailedRequest {
  readonly url: URL;
  readonly proxy?: URL | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Explanation {
  readonly reason: string;
  readonly hint: string;
  /** Whether the next try may fare better. */
  readonly isTransient: boolean;
}

const NETWORK_HINT = 'check the network, the firewall and the proxy settings of this host';
const CERTIFICATE_HINT =
  "check this host's clock and CA certificates; NODE_EXTRA_CA_CERTS names a file with further ones";

const HOST_UNKNOWN = transient('the host name is not known', 'check the spelling of the address, and DNS on this host');
const REFUSED = transient('the connection was refused', 'check that the server runs and that the port is right');
const BROKEN = transient('the connection broke', 'run again; if it happens each time, look at the proxy or firewall');
const NO_ROUTE = transient('the server cannot be reached', NETWORK_HINT);
const SILENT = transient('the server did not answer in time', NETWORK_HINT);
const STALLED = transient('no more data came', NETWORK_HINT);
const NOT_HTTP = lasting('the answer is not HTTP', 'check the port, and that no other service answers there');
const NOT_GZIP = lasting('the gzip data in the answer is damaged', 'a proxy may have damaged it: try without it');
const PROXY_REFUSED = lasting('the proxy refused', 'check that the proxy allows this address, and its user name');
const CERTIFICATE = lasting('the certificate is not accepted', CERTIFICATE_HINT);
const NO_TLS = lasting('no secure connection can be made', 'check that the server speaks https on that port');
const READING = lasting('the data cannot be read', 'check the path and the file system it is on');

const EXPLANATIONS: ReadonlyMap<string, Explanation> = new Map([
  ['ENOTFOUND', HOST_UNKNOWN],
  ['EAI_AGAIN', HOST_UNKNOWN],
  ['ECONNREFUSED', REFUSED],
  ['ECONNRESET', BROKEN],
  ['EPIPE', BROKEN],
  ['UND_ERR_SOCKET', BROKEN],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', BROKEN],
  ['EHOSTUNREACH', NO_ROUTE],
  ['EHOSTDOWN', NO_ROUTE],
  ['ENETUNREACH', NO_ROUTE],
  ['ENETDOWN', NO_ROUTE],
  ['ETIMEDOUT', SILENT],
  ['UND_ERR_CONNECT_TIMEOUT', SILENT],
  ['UND_ERR_HEADERS_TIMEOUT', SILENT],
  ['UND_ERR_BODY_TIMEOUT', STALLED],
  ['UND_ERR_HEADERS_OVERFLOW', NOT_HTTP],
  ['UND_ERR_PRX_TLS', CERTIFICATE],
]);

/** How undici reports a refused CONNECT, and a 407 to a request in absolute form. */
const PROXY_CODES: readonly string[] = ['UND_ERR_ABORTED', 'UND_ERR_INVALID_ARG'];

const FAMILIES: readonly (readonly [RegExp, Explanation])[] = [
  [/^HPE_/, NOT_HTTP],
  [/^Z_/, NOT_GZIP],
  [/CERT|UNABLE_TO_(GET|VERIFY)/, CERTIFICATE],
  [/^ERR_(TLS|SSL)_|^EPROTO$/, NO_TLS],
  [/^E[A-Z0-9]+$/, READING],
];

/** Whether a failure of undici or of the operating system may be gone on the next try. */
export function isTransientFailure(error: unknown): boolean {
  return explain(errorCode(error)).isTransient;
}

/**
 * Turns whatever ended a request into the error a user sees: what, where, through which proxy, and a hint that depends
 * on the code. When the signal was aborted it is the signal's own reason, if that is one of ours.
 */
export function fetchFailure(error: unknown, { url, proxy, signal }: FailedRequest): PoolkeeperError {
  if (signal?.aborted === true) return interruption(signal, url);
  if (error instanceof PoolkeeperError) return error;
  const address = publicAddress(url);
  const code = errorCode(error);
  const { reason, hint } = proxy !== undefined && PROXY_CODES.includes(code) ? PROXY_REFUSED : explain(code);
  const way = proxy === undefined ? '' : ` through the proxy ${proxy.host}`;
  return new SourceError(`cannot fetch ${address}${way}: ${reason} (${code})`, { hint, url: address, cause: error });
}

function interruption(signal: AbortSignal, url: URL): PoolkeeperError {
  const reason: unknown = signal.reason;
  if (reason instanceof PoolkeeperError) return reason;
  return new InterruptedError(`cannot fetch ${publicAddress(url)}: interrupted`, { cause: reason });
}

function explain(code: string): Explanation {
  const known = EXPLANATIONS.get(code) ?? FAMILIES.find(([pattern]) => pattern.test(code))?.[1];
  return known ?? lasting('it failed for an unknown reason', NETWORK_HINT);
}

function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return 'UNKNOWN';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return error.cause === undefined ? error.name : errorCode(error.cause);
}

function transient(reason: string, hint: string): Explanation {
  return { reason, hint, isTransient: true };
}

function lasting(reason: string, hint: string): Explanation {
  return { reason, hint, isTransient: false };
}
