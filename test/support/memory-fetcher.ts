import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import type { Fetcher, FetchRequest, FetchResponse } from '../../src/core/ports.ts';
import { displayUrl } from '../../src/simplestreams/source.ts';

/** What a memory server has at one address. */
export interface Served {
  readonly body: string | Uint8Array;
  readonly status?: number;
  readonly etag?: string;
  readonly lastModified?: string;
  /** The address that seems to have answered, after redirects. */
  readonly redirectedTo?: string;
}

export interface LoggedRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A Fetcher over a map from address to content; change `served` between requests, read `requests` afterwards. */
export interface MemoryFetcher extends Fetcher {
  readonly served: Map<string, Served>;
  readonly requests: LoggedRequest[];
}

/**
 * A server in memory. It answers 404 to what it does not have and 304 to a matching validator; `file:` addresses are
 * read from disk. Credentials of a request do not count.
 */
export function memoryFetcher(content: Readonly<Record<string, Served | string | Uint8Array>> = {}): MemoryFetcher {
  const served = new Map(Object.entries(content).map(([url, value]) => [url, asServed(value)]));
  const requests: LoggedRequest[] = [];
  return {
    served,
    requests,
    fetch: async (url, { headers = {}, signal }: FetchRequest) => {
      requests.push({ url: url.href, headers });
      signal?.throwIfAborted();
      const found = url.protocol === 'file:' ? await readLocal(url) : served.get(displayUrl(url));
      return respond(url, found ?? { body: 'not found', status: 404 }, headers);
    },
  };
}

function asServed(value: Served | string | Uint8Array): Served {
  return typeof value === 'string' || value instanceof Uint8Array ? { body: value } : value;
}

async function readLocal(url: URL): Promise<Served | undefined> {
  return await readFile(fileURLToPath(url)).then(
    (body) => ({ body }),
    () => undefined,
  );
}

function respond(url: URL, served: Served, requested: Readonly<Record<string, string>>): FetchResponse {
  const { etag, lastModified, redirectedTo } = served;
  const isMatch =
    (etag !== undefined && requested['if-none-match'] === etag) ||
    (lastModified !== undefined && requested['if-modified-since'] === lastModified);
  const headers: Record<string, string> = {};
  if (etag !== undefined) headers['etag'] = etag;
  if (lastModified !== undefined) headers['last-modified'] = lastModified;
  return {
    status: isMatch ? 304 : (served.status ?? 200),
    headers,
    url: redirectedTo === undefined ? url : new URL(redirectedTo),
    body: chunks(isMatch ? '' : served.body),
    discard: () => {},
  };
}

async function* chunks(body: string | Uint8Array): AsyncGenerator<Uint8Array> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}
