import { chmod, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { expect } from 'chai';

import type { FetchResponse } from '../../src/core/ports.ts';
import { InterruptedError, SourceError } from '../../src/errors.ts';
import { createFetcher } from '../../src/transfer/fetcher.ts';
import { startHttpServer } from '../support/http-server.ts';
import { startImageBench } from '../support/image-bench.ts';
import { makeTransferFixture, rejectionOf, type TransferFixture } from '../support/transfer-fixture.ts';

describe('local files', () => {
  const fetcher = createFetcher({ userAgent: 'poolkeeper/0.1.0' });
  let fixture: TransferFixture;

  before(async () => {
    fixture = await makeTransferFixture();
  });

  after(async () => {
    await fetcher.close();
    await fixture.remove();
  });

  function fetchLocal(name: string, headers: Readonly<Record<string, string>> = {}): Promise<FetchResponse> {
    return fetcher.fetch(pathToFileURL(join(fixture.root, name)), { headers });
  }

  async function bodyOf(response: FetchResponse): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  it('answers as a web server answers (statement 38)', async () => {
    const server = await startHttpServer(fixture.root);
    const requests = [
      ['index.txt', {}],
      ['index.txt', { range: 'bytes=100-' }],
      ['index.txt', { range: 'bytes=100-', 'if-range': '"other"' }],
      ['index.txt', { range: 'bytes=99999-' }],
      ['none.txt', {}],
      ['', {}],
      ['index.txt/x', {}],
    ] as const;
    for (const [name, headers] of requests) {
      const [local, remote] = [
        await fetchLocal(name, headers),
        await fetcher.fetch(new URL(name, server.url), { headers }),
      ];
      const seen = async ({ status, headers: given, ...response }: FetchResponse) => ({
        status,
        length: status < 300 ? given['content-length'] : undefined,
        range: given['content-range'],
        body: (await bodyOf({ status, headers: given, ...response })).toString(),
      });
      expect(await seen(local), `${name} ${JSON.stringify(headers)}`).to.deep.equal(await seen(remote));
    }
    await server.stop();
  });

  it('says by its validators that nothing has changed', async () => {
    const first = await fetchLocal('index.json');
    first.discard();
    const { etag = '', 'last-modified': lastModified = '' } = first.headers;
    const statuses: number[] = [];
    for (const headers of [
      { 'if-none-match': etag },
      { 'if-none-match': `"a", W/${etag}` },
      { 'if-none-match': '"a"', 'if-modified-since': lastModified },
      { 'if-modified-since': lastModified },
      { 'if-modified-since': new Date(0).toUTCString() },
    ]) {
      const response = await fetchLocal('index.json', headers);
      statuses.push(response.status);
      response.discard();
    }
    expect(statuses).to.deep.equal([304, 304, 200, 304, 200]);
  });

  it('gives the part asked for, when the validator still holds', async () => {
    const whole = await fetchLocal('disk.img');
    whole.discard();
    const response = await fetchLocal('disk.img', { range: 'bytes=10-19', 'if-range': whole.headers['etag'] ?? '' });
    expect({ status: response.status, range: response.headers['content-range'] }).to.deep.equal({
      status: 206,
      range: 'bytes 10-19/2621440',
    });
    expect(await bodyOf(response)).to.deep.equal(fixture.image.subarray(10, 20));
  });

  it('answers 404 for a directory and a loop of links', async () => {
    await mkdir(join(fixture.root, 'streams'));
    await symlink('loop', join(fixture.root, 'loop'));
    const statuses = [(await fetchLocal('streams')).status, (await fetchLocal('loop')).status];
    expect(statuses).to.deep.equal([404, 404]);
  });

  it('refuses a file address that names another host', async () => {
    const error = await rejectionOf(fetcher.fetch(new URL('file://host/x'), {}));
    expect(error).to.be.instanceOf(SourceError);
    expect(error).to.have.property('message', 'cannot fetch file://host/x: it does not name a local file');
  });

  it('stops when it is interrupted', async () => {
    const controller = new AbortController();
    const { body } = await fetcher.fetch(pathToFileURL(join(fixture.root, 'disk.img')), { signal: controller.signal });
    const reading = async (): Promise<void> => {
      for await (const chunk of body) if (chunk.length > 0) controller.abort();
    };
    expect(await rejectionOf(reading())).to.be.instanceOf(InterruptedError);
  });

  it('brings an image from a local file (statement 38)', async () => {
    const bench = await startImageBench(fixture);
    const url = pathToFileURL(join(fixture.root, 'disk.img'));
    const { etag, ...image } = await bench.transfer({ urls: [url] });
    await bench.server.stop();
    const bytes = BigInt(fixture.image.length);
    expect(image).to.deep.equal({ requestedUrl: url, url, bytes, heldBytes: 0n, resumedAtBytes: 0n });
    expect(etag).to.match(/^"280000-[0-9a-f]+"$/);
    expect(bench.sinks.map((sink) => sink.bytes().equals(fixture.image))).to.deep.equal([true]);
  });

  it('answers 403 for a file that may not be read', async () => {
    await chmod(join(fixture.root, 'index.txt'), 0);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.('nobody');
    const response = await fetchLocal('index.txt').finally(() => {
      if (isRoot) process.seteuid?.(0);
    });
    expect(response.status).to.equal(403);
  });
});
