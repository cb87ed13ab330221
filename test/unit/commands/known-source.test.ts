import { readdir, readFile, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { readUnlessKnown, type SelectedStream, type SourceRequest } from '../../../src/commands/known-source.ts';
import { parseFilter } from '../../../src/core/filter.ts';
import { listedProducts, selectNewest } from '../../../src/core/selection.ts';
import { fetchStream } from '../../../src/simplestreams/fetch-stream.ts';
import { openKeyring } from '../../../src/simplestreams/keyring.ts';
import { resolveSource } from '../../../src/simplestreams/source.ts';
import { openDocumentCache } from '../../../src/state/document-cache.ts';
import { openGpgHome } from '../../support/gpg.ts';
import { type MemoryFetcher, memoryFetcher } from '../../support/memory-fetcher.ts';
import { BASE, downloads, index, INDEX, NOW, products, PRODUCTS_TEXT } from '../simplestreams/reading.ts';
import { temporaryDir, UID } from '../state/support.ts';

const PRODUCTS = `${BASE}streams/v1/p.json`;
const ITEM = { size: 5, sha256: 'ab'.repeat(32) };
const LOCATION = resolveSource(BASE, undefined, '/');
const REQUEST: SourceRequest = { location: LOCATION, keyring: undefined, choice: ['dir', 'arch=amd64'], version: '1' };

describe('known source', () => {
  const at = temporaryDir();
  let reads = 0;
  let server: MemoryFetcher;

  beforeEach(() => {
    reads = 0;
    server = memoryFetcher({
      [INDEX]: { body: JSON.stringify(index({ foo: downloads('p.json'), other: {} })), etag: '"i1"' },
      [PRODUCTS]: { body: JSON.stringify(products(ITEM)), lastModified: 'Thu, 22 Aug 2024 03:28:23 GMT' },
    });
  });

  it('is not read again while it answers that nothing has changed', async () => {
    const first = await read();
    const before = server.requests.length;
    const second = await read();
    expect(second.selection).to.deep.equal(first.selection);
    expect(first.selection.wanted.map(({ path, sizeBytes }) => [path, sizeBytes])).to.deep.equal([
      ['server/a.img', 5n],
    ]);
    const documents = first.stream.documents.map((document) => ({ ...document, isUnchanged: true }));
    const { location, warnings, isEmpty } = first.stream;
    expect(warnings).to.have.length(1);
    expect(second.stream).to.deep.equal({ location, documents, warnings, isEmpty });
    expect({ reads, requests: server.requests.slice(before) }).to.deep.equal({
      reads: 1,
      requests: [
        { url: INDEX, headers: { 'if-none-match': '"i1"' } },
        { url: PRODUCTS, headers: { 'if-modified-since': 'Thu, 22 Aug 2024 03:28:23 GMT' } },
      ],
    });
  });

  for (const [name, url] of Object.entries({ index: INDEX, 'products document': PRODUCTS })) {
    it(`is read again when its ${name} has changed, and nothing is asked for twice`, async () => {
      await read();
      const served = server.served.get(url);
      server.served.set(url, { body: served?.body ?? '', etag: '"new"' });
      const before = server.requests.length;
      await read();
      const requests = server.requests.slice(before).map((request) => request.url);
      expect({ reads, requests }).to.deep.equal({ reads: 2, requests: [INDEX, PRODUCTS] });
    });
  }

  it('is read again when a document carries no validator', async () => {
    server.served.set(PRODUCTS, { body: JSON.stringify(products(ITEM)) });
    await read();
    await read();
    expect(reads).to.equal(2);
  });

  const others: Readonly<Record<string, Partial<SourceRequest>>> = {
    'another filter': { choice: ['dir', 'arch=arm64'] },
    'another kind of pool': { choice: ['netfs', 'arch=amd64'] },
    'another keyring': { keyring: { sha256: '00', pinned: [] } },
    'another pin': { keyring: { sha256: '00', pinned: ['AB'] } },
    'another version of the program': { version: '2' },
    'another first document': { location: resolveSource(BASE, 'streams/v1/p.json', '/') },
  };
  for (const [name, other] of Object.entries(others)) {
    it(`is read again for ${name}`, async () => {
      await read();
      await read(other);
      expect(reads).to.equal(2);
    });
  }

  it('is read again past all caches on demand', async () => {
    await read();
    await read({}, true);
    expect(reads).to.equal(2);
    expect(server.requests.slice(-2).map(({ headers }) => headers)).to.deep.equal([
      { 'cache-control': 'no-cache' },
      { 'cache-control': 'no-cache' },
    ]);
  });

  it('is read again when the note is damaged or of another form', async () => {
    const { selection } = await read();
    const [name = ''] = await readdir(at('cache/notes-v1'));
    const note = await readFile(at('cache/notes-v1', name));
    await writeFile(at('cache/notes-v1', name), note.toString().replace('a.img', 'b.img'));
    expect((await read()).selection).to.deep.equal(selection);
    await (await cache()).writeNote((await keyOfNote(name)) ?? '', { answers: 5 });
    expect((await read()).selection).to.deep.equal(selection);
    expect(reads).to.equal(3);
  });

  it('is not noted when nothing in it is wanted', async () => {
    server.served.set(PRODUCTS, { body: JSON.stringify(products({ size: 5 })), etag: '"p"' });
    await read();
    expect(await readdir(at('cache/notes-v1'))).to.deep.equal([]);
  });

  it('is not noted when a signature expires', async () => {
    const gpg = await openGpgHome();
    try {
      const key = await gpg.createKey({ userId: 'Foo Cloud' });
      const keyring = await openKeyring(await gpg.exportKeys([key]));
      for (const extra of [['--default-sig-expire', '1y'], []]) {
        const text = PRODUCTS_TEXT.replace(/"size": ?5/, `"size": 5, "sha256": "${ITEM.sha256}"`);
        const body = await gpg.clearsign(text, { keys: [key], extra });
        server.served.set(INDEX, { body, etag: `"${extra.length}"` });
        await readSigned({ keyring });
        expect(await readdir(at('cache/notes-v1'))).to.have.length(extra.length > 0 ? 0 : 1);
      }
    } finally {
      await gpg.close();
    }
  });

  function cache() {
    const onProblem = (error: Error): never => expect.fail(error.message);
    return openDocumentCache({ dir: at('cache'), uid: UID, clock: { now: () => NOW }, onProblem });
  }

  async function keyOfNote(name: string): Promise<string | undefined> {
    const [, header = '{}'] = (await readFile(at('cache/notes-v1', name), 'utf8')).split('\n');
    return (JSON.parse(header) as { key?: string }).key;
  }

  async function read(other: Partial<SourceRequest> = {}, bypassCaches = false): Promise<SelectedStream> {
    const request = { ...REQUEST, ...other };
    const transport = { fetcher: server, cache: await cache(), bypassCaches };
    return readUnlessKnown(request, transport, async (fetcher) => {
      reads += 1;
      const context = { ...transport, fetcher, clock: { now: () => NOW }, keyring: undefined };
      const stream = await fetchStream(request.location, { ...context, authentication: 'none' });
      const selection = selectNewest(stream.items(), [parseFilter('arch=amd64')], 'dir');
      return { stream, selection, listed: listedProducts(stream.items()) };
    });
  }

  async function readSigned({ keyring }: { keyring: Awaited<ReturnType<typeof openKeyring>> }): Promise<void> {
    const transport = { fetcher: server, cache: await cache() };
    await readUnlessKnown({ ...REQUEST, keyring }, transport, async () => {
      const context = { ...transport, clock: { now: () => NOW }, keyring };
      const stream = await fetchStream(LOCATION, { ...context, authentication: 'signed' });
      const selection = selectNewest(stream.items(), [parseFilter('arch=amd64')], 'dir');
      return { stream, selection, listed: listedProducts(stream.items()) };
    });
  }
});
