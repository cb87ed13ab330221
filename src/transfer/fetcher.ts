import type { Fetcher, FetchRequest, FetchResponse } from '../core/ports.ts';
import { SourceError } from '../errors.ts';
import { publicAddress } from './address.ts';
import { Dispatchers } from './dispatchers.ts';
import { fetchFile } from './file-fetch.ts';
import { fetchHttp, type HttpContext } from './http-fetch.ts';
import { readProxySettings, type Environment } from './proxy.ts';
import { defaultPatience, type Sleep } from './retry.ts';

export interface FetcherOptions {
  /** Sent with every request: `poolkeeper/<version>`. */
  readonly userAgent: string;
  /** Where `http_proxy`, `https_proxy` and `no_proxy` are looked up. Default: nowhere. */
  readonly environment?: Environment;
  /** Default: 10 s. */
  readonly connectTimeoutMs?: number;
  /** Default: 30 s. */
  readonly headersTimeoutMs?: number;
  /** The longest silence within a body. Default: 60 s. */
  readonly stallTimeoutMs?: number;
  /** Tries after the first one, for statuses and failures that pass. Default: 4. */
  readonly retries?: number;
  readonly sleep?: Sleep;
  /** From 0 up to, not including, 1. */
  readonly random?: () => number;
}

/**
 * The one implementation of `Fetcher`: http and https through undici, and local files with the same meaning.
 *
 * It resolves with any status, also 404 and, after the retries, 503; what a status means is the caller's to say. It
 * retries only until an answer has come. Bodies are decoded from gzip unless the request has `accept-encoding` or `range`.
 * Every rejection, also while a body is read, is a PoolkeeperError whose message holds no credentials.
 */
export function createFetcher(options: FetcherOptions): Fetcher & { close(): Promise<void> } {
  const context = httpContext(options);
  return {
    fetch: (url, request) => fetchAddress(url, request, context),
    close: () => context.dispatchers.close(),
  };
}

function httpContext(options: FetcherOptions): HttpContext {
  const { userAgent, environment = {}, connectTimeoutMs = 10_000, headersTimeoutMs = 30_000 } = options;
  const timeouts = {
    connectMs: connectTimeoutMs,
    headersMs: headersTimeoutMs,
    stallMs: options.stallTimeoutMs ?? 60_000,
  };
  const dispatchers = new Dispatchers(readProxySettings(environment), timeouts);
  return { dispatchers, timeouts, patience: defaultPatience(options), userAgent };
}

async function fetchAddress(url: URL, request: FetchRequest, context: HttpContext): Promise<FetchResponse> {
  switch (url.protocol) {
    case 'http:':
    case 'https:':
      return fetchHttp(url, request, context);
    case 'file:':
      return fetchFile(url, request);
    default: {
      const address = publicAddress(url);
      throw new SourceError(`cannot fetch ${address}: '${url.protocol}' is not supported`, {
        hint: 'use http, https or file',
        url: address,
      });
    }
  }
}
