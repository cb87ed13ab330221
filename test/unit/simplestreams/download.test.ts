import { expect } from 'chai';

import type { Fetcher } from '../../../src/core/ports.ts';
import { InterruptedError, SourceError } from '../../../src/errors.ts';
import { download } from '../../../src/simplestreams/download.ts';
import { memoryDocumentCache } from '../../support/memory-document-cache.ts';
import { memoryFetcher } from '../../support/memory-fetcher.ts';

const ADDRESS = 'https://foocloud.test/streams/v1/index.json';
const REQUEST = new URL('https://ada:secret@foocloud.test/streams/v1/index.json');

async function failure(action: Promise<unknown>): Promise<unknown> {
  return await action.then(
    () => 'no failure',
    (error: unknown) => error,
  );
}

/** A server that says nothing until the request is given up. */
const silent: Fetcher = {
  fetch: async (_url, { signal }) =>
    await new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(new InterruptedError('given up')));
    }),
};

describe('download', () => {
  it('keeps validators verbatim and credentials out of names', async () => {
    const served = { body: '{}', etag: 'W/"x-gzip"', lastModified: 'Thu, 22 Aug 2024 03:28:23 GMT' };
    const fetcher = memoryFetcher({ [ADDRESS]: served });
    expect(await download(REQUEST, 10, { fetcher })).to.deep.equal({
      url: ADDRESS,
      document: { bytes: Buffer.from('{}'), etag: served.etag, lastModified: served.lastModified },
      isUnchanged: false,
      isFromCache: false,
    });
    expect(fetcher.requests).to.deep.equal([{ url: REQUEST.href, headers: {} }]);
  });

  it('recognises the bytes of the cache even when the server sends them again', async () => {
    const cache = memoryDocumentCache();
    await cache.write(ADDRESS, { bytes: Buffer.from('{}'), etag: '"old"', lastModified: undefined });
    const fetcher = memoryFetcher({ [ADDRESS]: { body: '{}', etag: '"new"' } });
    expect(await download(REQUEST, 10, { fetcher, cache })).to.deep.include({ isUnchanged: true, isFromCache: false });
  });

  it('takes a document of exactly the allowed size and not a byte more', async () => {
    const fetcher = memoryFetcher({ [ADDRESS]: '12345' });
    expect((await download(REQUEST, 5, { fetcher })).document.bytes).to.have.length(5);
    expect(await failure(download(REQUEST, 4, { fetcher })))
      .to.be.instanceOf(SourceError)
      .that.includes({
        message: `cannot use ${ADDRESS}: it is larger than 4 bytes`,
      });
  });

  it('rejects a 304 that nobody asked for', async () => {
    const fetcher = memoryFetcher({ [ADDRESS]: { body: '', status: 304 } });
    expect(await failure(download(REQUEST, 10, { fetcher })))
      .to.be.instanceOf(SourceError)
      .that.includes({
        message: `cannot read ${ADDRESS}: the server answered 304`,
      });
  });

  it('says what a 404 may mean', async () => {
    const urls = ['index.sjson', 'foo.json', 'foo.json.gpg'].map((name) => `https://h/streams/v1/${name}`);
    const errors = await Promise.all(
      urls.map(async (url) => await failure(download(new URL(url), 9, { fetcher: memoryFetcher() }))),
    );
    expect(errors.map((error) => (error instanceof SourceError ? error.hint : error))).to.deep.equal([
      'the address must be that of the directory that holds streams/; unsigned sources have --path streams/v1/index.json',
      'check --path if you gave one; else the stream may just have changed: run again',
      'the source does not sign this document; a .sjson beside it may be signed',
    ]);
  });

  it('gives up on a server that does not come to an end', async () => {
    const context = { fetcher: silent, documentTimeoutMs: 20 };
    expect(await failure(download(REQUEST, 10, context)))
      .to.be.instanceOf(SourceError)
      .that.includes({
        message: `cannot read ${ADDRESS}: not complete after 0.02 s`,
      });
  });

  it('stops at the signal of the caller, with the error of the fetcher', async () => {
    const controller = new AbortController();
    const stopped = failure(download(REQUEST, 10, { fetcher: silent, signal: controller.signal }));
    await new Promise(setImmediate);
    controller.abort();
    expect(await stopped).to.be.instanceOf(InterruptedError);
  });
});
