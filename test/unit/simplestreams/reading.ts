import { expect } from 'chai';

import { TrustError } from '../../../src/errors.ts';
import { fetchStream, type Stream, type StreamContext } from '../../../src/simplestreams/fetch-stream.ts';
import { resolveSource } from '../../../src/simplestreams/source.ts';
import { memoryFetcher, type MemoryFetcher, type Served } from '../../support/memory-fetcher.ts';
import { documentText } from '../../support/stream-builder.ts';

/** The source that tests read, and the document that it begins with. */
export const BASE = 'https://foocloud.test/releases/';
export const INDEX = `${BASE}streams/v1/index.sjson`;

/** When tests run; gpg signs by the same clock. */
export const NOW = Date.now();

/** A products document with one item, whose text has what clear-signing treats specially. */
export const PRODUCTS_TEXT = documentText({
  content_id: 'com.foocloud:released:download',
  datatype: 'image-downloads',
  format: 'products:1.0',
  products: {
    'com.foocloud:server:24.04:amd64': {
      arch: 'amd64',
      note: 'größe\n- and a dash',
      versions: { '20240423': { items: { 'disk1.img': { ftype: 'disk1.img', path: 'server/a.img', size: 5 } } } },
    },
  },
});

/** Reads the stream of `BASE`. */
export async function read(fetcher: MemoryFetcher, context: Partial<StreamContext>, path?: string): Promise<Stream> {
  const defaults: StreamContext = { fetcher, authentication: 'signed', keyring: undefined, clock: { now: () => NOW } };
  return await fetchStream(resolveSource(BASE, path, '/'), { ...defaults, ...context });
}

/** Reads a stream that is one document. */
export async function readDocument(
  served: Served | string | Uint8Array,
  context: Partial<StreamContext>,
): Promise<Stream> {
  return await read(memoryFetcher({ [INDEX]: served }), context);
}

/** The message of the TrustError with which a reading ends. */
export async function refusal(reading: Promise<Stream>): Promise<string> {
  const outcome = await reading.catch((error: unknown) => error);
  expect(outcome).to.be.instanceOf(TrustError);
  return outcome instanceof TrustError ? outcome.message : '';
}

/** The one product of `products`. */
export const PRODUCT = 'com.foocloud:server:24.04:amd64';

/** Reads a source whose documents need no signatures. */
export async function readPlain(fetcher: MemoryFetcher, url = BASE, path?: string): Promise<Stream> {
  const clock = { now: () => NOW };
  return await fetchStream(resolveSource(url, path, '/'), {
    fetcher,
    clock,
    authentication: 'none',
    keyring: undefined,
  });
}

/** A server with documents below `streams/v1/`; objects are sent as JSON. */
export function serve(documents: Readonly<Record<string, unknown>>): MemoryFetcher {
  const entries = Object.entries(documents).map(([name, document]): [string, Served | string] => [
    `${BASE}streams/v1/${name}`,
    typeof document === 'string' ? document : JSON.stringify(document),
  ]);
  return memoryFetcher(Object.fromEntries(entries));
}

/** An index document. */
export function index(entries: Readonly<Record<string, unknown>>, more: object = {}): object {
  return { format: 'index:1.0', index: entries, ...more };
}

/** An index entry for downloads. */
export function downloads(path: string, more: object = {}): object {
  return { format: 'products:1.0', datatype: 'image-downloads', path: `streams/v1/${path}`, ...more };
}

/** A products document with one product, one version and one item; `more` goes on top. */
export function products(item: object = {}, more: object = {}): object {
  const items = { 'disk1.img': { ftype: 'disk1.img', path: 'server/a.img', ...item } };
  const tree = { [PRODUCT]: { arch: 'amd64', versions: { '20240423': { items } } } };
  return { format: 'products:1.0', content_id: 'foo', products: tree, ...more };
}

/** What a reading ends with. */
export async function failure(reading: Promise<Stream>): Promise<unknown> {
  return await reading.then(
    () => 'no failure',
    (error: unknown) => error,
  );
}

/** The paths of a stream's items, in order. */
export function paths(stream: Stream): (string | undefined)[] {
  return [...stream.items()].map(({ path }) => path);
}
