import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';

import { expect } from 'chai';

import { SourceError, TrustError } from '../../../src/errors.ts';
import { fetchStream } from '../../../src/simplestreams/fetch-stream.ts';
import { openKeyring } from '../../../src/simplestreams/keyring.ts';
import { resolveSource } from '../../../src/simplestreams/source.ts';
import { openGpgHome } from '../../support/gpg.ts';
import { memoryDocumentCache } from '../../support/memory-document-cache.ts';
import { memoryFetcher } from '../../support/memory-fetcher.ts';
import { buildStream } from '../../support/stream-builder.ts';
import { BASE, INDEX, NOW, downloads, failure, index, paths, products, readPlain, serve } from './reading.ts';

describe('interop statements on sources', () => {
  it('27. rejects a document with an unsafe path anywhere, before anything else is fetched', async () => {
    const unsafe = [
      '../x',
      '/x',
      'a/../b',
      'a\\b',
      'http://x/y',
      './a',
      'a/',
      'a//b',
      '.../a',
      'a?b',
      'a#b',
      '%2e%2e/x',
    ];
    for (const path of unsafe) {
      const entries = index({ foo: downloads('foo.json'), bad: { format: 'other:1.0', path } });
      const fetcher = serve({ 'index.sjson': entries, 'foo.json': products() });
      expect(await failure(readPlain(fetcher)), path)
        .to.be.instanceOf(TrustError)
        .that.includes({
          message: `cannot trust ${INDEX}: the path ${JSON.stringify(path)} could leave the source`,
        });
      expect(new Set(fetcher.requests.map(({ url }) => url))).to.deep.equal(new Set([INDEX]));
      const item = await failure(readPlain(serve({ 'index.sjson': products({ ftype: 'unwanted', path }) })));
      expect(item, path).to.be.instanceOf(TrustError);
      const hoisted = await failure(readPlain(serve({ 'index.sjson': products({ path: undefined }, { path }) })));
      expect(hoisted, path).to.be.instanceOf(TrustError);
    }
    const empty = await readPlain(serve({ 'index.sjson': products({ path: '' }) }));
    expect(paths(empty)).to.deep.equal([undefined]);
  });

  it('34. names status and address when the server refuses, and says so when it answers HTML', async () => {
    for (const status of [403, 404, 500]) {
      const fetcher = memoryFetcher({ [INDEX]: { body: '<html>sorry</html>', status } });
      const error = await failure(readPlain(fetcher, 'https://user:secret@foocloud.test/releases/'));
      expect(error)
        .to.be.instanceOf(SourceError)
        .that.includes({
          message: `cannot read ${INDEX}: the server answered ${status}`,
          httpStatus: status,
          url: INDEX,
        });
    }
    const html = await failure(readPlain(memoryFetcher({ [INDEX]: '\n <!DOCTYPE html>' })));
    expect(html)
      .to.be.instanceOf(SourceError)
      .that.includes({
        message: `cannot use ${INDEX}: it is HTML, not JSON`,
      });
  });

  it('35. reuses the cached index and products after a 304', async () => {
    const fetcher = serve({});
    const served = { [INDEX]: index({ foo: downloads('foo.json') }), [`${BASE}streams/v1/foo.json`]: products() };
    for (const [url, body] of Object.entries(served))
      fetcher.served.set(url, { body: JSON.stringify(body), etag: url });
    const context = {
      fetcher,
      cache: memoryDocumentCache(),
      clock: { now: () => NOW },
      authentication: 'none',
      keyring: undefined,
    } as const;
    const first = await fetchStream(resolveSource(BASE, undefined, '/'), context);
    const second = await fetchStream(resolveSource(BASE, undefined, '/'), context);
    const third = await fetchStream(resolveSource(BASE, undefined, '/'), { ...context, bypassCaches: true });
    expect(
      [first, second, third].map(({ documents }) => documents.map(({ isUnchanged }) => isUnchanged)),
    ).to.deep.equal([
      [false, false],
      [true, true],
      [true, true],
    ]);
    expect([...second.items()]).to.deep.equal([...first.items()]);
    expect(fetcher.requests.map(({ headers }) => Object.keys(headers))).to.deep.equal([
      [],
      [],
      ['if-none-match'],
      ['if-none-match'],
      ['cache-control'],
      ['cache-control'],
    ]);
  });

  it('38. reads file: addresses, absolute and relative directories with identical results', async () => {
    const gpg = await openGpgHome();
    const directory = await mkdtemp(join(tmpdir(), 'pk 100% streams-'));
    try {
      const signer = await gpg.createKey();
      const versions = [{ serial: '20240423', image: Buffer.from('image') }];
      await buildStream(directory, { products: [{ release: 'noble', versions }], signer });
      const keyring = await openKeyring(await gpg.exportKeys([signer]), { pinned: [signer.fingerprint] });
      const base = pathToFileURL(directory).href;
      const sources = [base, `${base}/streams/v1/index.sjson`, directory, relative('/var', directory)];
      const results = await Promise.all(
        [...sources, `${directory}/streams/v1/index.json`].map(async (source) => {
          const context = { fetcher: memoryFetcher(), clock: { now: () => NOW }, authentication: 'signed' } as const;
          const stream = await fetchStream(resolveSource(source, undefined, '/var'), { ...context, keyring });
          return { display: stream.location.display, items: [...stream.items()], warnings: stream.warnings };
        }),
      );
      for (const result of results) expect(result).to.deep.equal(results[0]);
      expect(results[0]?.items.map(({ itemName }) => itemName)).to.deep.equal([
        'disk1.img',
        'lxd.tar.xz',
        'manifest',
        'squashfs',
        'tar.gz',
      ]);
    } finally {
      await gpg.close();
      await rm(directory, { recursive: true, force: true });
    }
  });
});
