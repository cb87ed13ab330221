import { expect } from 'chai';

import { TrustError } from '../../../src/errors.ts';
import { openKeyring, type Keyring } from '../../../src/simplestreams/keyring.ts';
import { openGpgHome, type GpgHome, type GpgKey } from '../../support/gpg.ts';
import { memoryDocumentCache } from '../../support/memory-document-cache.ts';
import { memoryFetcher, type MemoryFetcher, type Served } from '../../support/memory-fetcher.ts';
import { documentText } from '../../support/stream-builder.ts';
import { BASE, INDEX, NOW, PRODUCTS_TEXT, read, readDocument, refusal } from './reading.ts';

describe('interop statements on trust', () => {
  let gpg: GpgHome;
  let key: GpgKey;
  let stranger: GpgKey;
  let keyring: Keyring;
  let good: string;

  before(async () => {
    gpg = await openGpgHome();
    key = await gpg.createKey({ algo: 'rsa2048', created: new Date(Date.UTC(2019, 0, 1)), userId: 'Foocloud' });
    stranger = await gpg.createKey({ created: new Date(Date.UTC(2019, 0, 1)), userId: 'Stranger' });
    keyring = await openKeyring(await gpg.exportKeys([key]), { pinned: [key.fingerprint] });
    good = (await gpg.clearsign(PRODUCTS_TEXT, { keys: [key] })).toString();
  });

  after(async () => {
    await gpg.close();
  });

  describe('with an index', () => {
    const productsUrl = `${BASE}streams/v1/foo.json`;

    function indexOf(path: string): string {
      const entry = { path, format: 'products:1.0', datatype: 'image-downloads' };
      return documentText({ format: 'index:1.0', index: { 'com.foocloud:released:download': entry } });
    }

    async function serve(content: Record<string, Served | string | Uint8Array>): Promise<MemoryFetcher> {
      const index = await gpg.clearsign(indexOf('streams/v1/foo.json'), { keys: [key] });
      return memoryFetcher({ [INDEX]: index, ...content });
    }

    it('29. rejects the unsigned products of a signed index, unless a detached signature verifies', async () => {
      expect(await refusal(read(await serve({ [productsUrl]: PRODUCTS_TEXT }), { keyring }))).to.equal(
        `cannot trust ${productsUrl}: it is not signed, and there is no .gpg beside it`,
      );
      for (const armor of [true, false]) {
        const signature = await gpg.detachSign(PRODUCTS_TEXT, { keys: [key], armor });
        const stream = await read(await serve({ [productsUrl]: PRODUCTS_TEXT, [`${productsUrl}.gpg`]: signature }), {
          keyring,
        });
        expect(stream.documents.map(({ signer }) => signer)).to.deep.equal([key.fingerprint, key.fingerprint]);
      }
    });

    it('29. rejects products whose detached signature is of other bytes', async () => {
      const signature = await gpg.detachSign(`${PRODUCTS_TEXT}\n`, { keys: [key] });
      const fetcher = await serve({ [productsUrl]: PRODUCTS_TEXT, [`${productsUrl}.gpg`]: signature });
      expect(await refusal(read(fetcher, { keyring }))).to.equal(
        `cannot trust ${productsUrl}: the signature of key ${key.fingerprint} does not fit the content`,
      );
    });

    it('29. fetches document and signature once more when a publisher replaced them in between', async () => {
      const late = await gpg.detachSign(PRODUCTS_TEXT, { keys: [key] });
      const fetcher = await serve({ [productsUrl]: `${PRODUCTS_TEXT}\n`, [`${productsUrl}.gpg`]: late });
      const racing: MemoryFetcher = {
        ...fetcher,
        fetch: async (url, request) => {
          const response = await fetcher.fetch(url, request);
          if (url.href === `${productsUrl}.gpg`) fetcher.served.set(productsUrl, { body: PRODUCTS_TEXT });
          return response;
        },
      };
      const stream = await read(racing, { keyring });
      expect(stream.documents).to.have.length(2);
      expect(fetcher.requests.slice(-2)).to.deep.equal([
        { url: productsUrl, headers: { 'cache-control': 'no-cache' } },
        { url: `${productsUrl}.gpg`, headers: { 'cache-control': 'no-cache' } },
      ]);
    });

    it('29. rejects anything but a signature in place of a detached signature', async () => {
      const inline = await gpg.inlineSign(PRODUCTS_TEXT, { keys: [key] });
      for (const other of [good, inline, await gpg.exportKeys([key]), 'x', '']) {
        const fetcher = await serve({ [productsUrl]: PRODUCTS_TEXT, [`${productsUrl}.gpg`]: other });
        expect(await refusal(read(fetcher, { keyring }))).to.equal(
          `cannot trust ${productsUrl}: its signature cannot be read`,
        );
      }
    });
  });

  it('30. never silently trusts an unsigned index that is asked for by name', async () => {
    const path = 'streams/v1/index.json';
    const fetcher = memoryFetcher({ [`${BASE}${path}`]: PRODUCTS_TEXT });
    expect(await refusal(read(fetcher, { keyring }, path))).to.equal(
      `cannot trust ${BASE}${path}: it is not signed, and there is no .gpg beside it`,
    );
    fetcher.served.set(`${BASE}${path}.gpg`, { body: await gpg.detachSign(PRODUCTS_TEXT, { keys: [key] }) });
    expect((await read(fetcher, { keyring }, path)).documents[0]?.signer).to.equal(key.fingerprint);
    const trusting = await read(memoryFetcher({ [`${BASE}${path}`]: PRODUCTS_TEXT }), { authentication: 'none' }, path);
    expect(trusting.documents[0]?.signer).to.equal(undefined);
  });

  it('30. refuses to read a signed source without a keyring, before any request', async () => {
    const fetcher = memoryFetcher({ [INDEX]: good });
    const outcome = await read(fetcher, { keyring: undefined }).catch((error: unknown) => error);
    expect(outcome)
      .to.be.instanceOf(TrustError)
      .that.includes({
        message: `cannot trust ${BASE}: there is no keyring to check its signatures with`,
        hint: "add the key of its publisher with 'poolkeeper keyring add', or name a file that holds it with --keyring",
      });
    expect(fetcher.requests).to.deep.equal([]);
  });

  it('31. unwraps a signed document that needs no authentication', async () => {
    const escaped = good.replace(/\n {2}"format"[^\n]*/, '\n-   "format": "products:1.0",');
    const stream = await readDocument(escaped.replace('a.img', 'b.img'), { authentication: 'none' });
    expect([...stream.items()].map(({ path, signer }) => [path, signer])).to.deep.equal([['server/b.img', undefined]]);
  });

  it('32. accepts two signers of which one is known', async () => {
    const document = await gpg.clearsign(PRODUCTS_TEXT, { keys: [stranger, key] });
    expect((await readDocument(document, { keyring })).documents[0]?.signer).to.equal(key.fingerprint);
  });

  it('33. uses all keys of armored and binary keyrings with several keys and several blocks', async () => {
    const keys = [key, stranger];
    const one = await gpg.exportKeys([key], { armor: true });
    const other = await gpg.exportKeys([stranger], { armor: true });
    const keyrings = [
      await gpg.exportKeys(keys),
      await gpg.exportKeys(keys, { armor: true }),
      Buffer.concat([one, other]),
      Buffer.concat([Buffer.from('two keys\n\n'), one, Buffer.from('\nand\n'), other]),
    ];
    const documents = [good, await gpg.clearsign(PRODUCTS_TEXT, { keys: [stranger] })];
    for (const bytes of keyrings) {
      const opened = await openKeyring(bytes);
      const read2 = await Promise.all(documents.map(async (text) => await readDocument(text, { keyring: opened })));
      expect(read2.map(({ documents: [first] }) => first?.signer)).to.deep.equal([
        key.fingerprint,
        stranger.fingerprint,
      ]);
    }
  });

  it('35. uses the cached document after a 304, checks its signature, and keeps the verdict by digest', async () => {
    const fetcher = memoryFetcher({ [INDEX]: { body: good, etag: '"1-gzip"' } });
    const cache = memoryDocumentCache();
    const first = await read(fetcher, { keyring, cache });
    const second = await read(fetcher, { keyring, cache });
    expect(fetcher.requests.map(({ headers }) => headers)).to.deep.equal([{}, { 'if-none-match': '"1-gzip"' }]);
    expect(first.documents.map(({ isUnchanged }) => isUnchanged)).to.deep.equal([false]);
    expect(second.documents).to.deep.equal(first.documents.map((document) => ({ ...document, isUnchanged: true })));
    expect([...second.items()]).to.deep.equal([...first.items()]);
    expect([...cache.verdicts.values()].map(({ fingerprint }) => fingerprint)).to.deep.equal([key.fingerprint]);
    const other = await openKeyring(await gpg.exportKeys([stranger]));
    expect(await refusal(read(fetcher, { keyring: other, cache }))).to.match(/which is not in the keyring$/);
  });

  it('35. fetches a document again, unconditionally, when the cached one no longer verifies', async () => {
    const fetcher = memoryFetcher({
      [INDEX]: { body: good, etag: '"1"', lastModified: 'Thu, 22 Aug 2024 03:28:23 GMT' },
    });
    const cache = memoryDocumentCache();
    await read(fetcher, { keyring, cache });
    const kept = cache.documents.get(INDEX);
    if (kept === undefined) throw new Error('nothing was kept');
    cache.documents.set(INDEX, { ...kept, bytes: Buffer.from(good.replace('a.img', 'b.img')) });
    const stream = await read(fetcher, { keyring, cache });
    expect([...stream.items()].map(({ path }) => path)).to.deep.equal(['server/a.img']);
    expect(fetcher.requests.slice(1).map(({ headers }) => headers)).to.deep.equal([
      { 'if-none-match': '"1"', 'if-modified-since': 'Thu, 22 Aug 2024 03:28:23 GMT' },
      { 'cache-control': 'no-cache' },
    ]);
    expect(Buffer.from(cache.documents.get(INDEX)?.bytes ?? []).toString()).to.equal(good);
  });

  it('35. replaces a verdict whose payload was damaged', async () => {
    const fetcher = memoryFetcher({ [INDEX]: { body: good, etag: '"1"' } });
    const cache = memoryDocumentCache();
    const first = await read(fetcher, { keyring, cache });
    const intact = new Map(cache.verdicts);
    for (const [id, verdict] of intact) cache.verdicts.set(id, { ...verdict, payload: Buffer.from('{') });
    expect([...(await read(fetcher, { keyring, cache })).items()]).to.deep.equal([...first.items()]);
    expect([...cache.verdicts]).to.deep.equal([...intact]);
  });

  it('35. does not keep the verdict on a signature that will expire', async () => {
    const at = new Date(NOW - 86_400_000);
    const document = await gpg.clearsign(PRODUCTS_TEXT, { keys: [key], at, extra: ['--default-sig-expire', '1y'] });
    const cache = memoryDocumentCache();
    await readDocument(document, { keyring, cache });
    expect([...cache.verdicts]).to.deep.equal([]);
  });
});
