import { expect } from 'chai';

import { SourceError, UsageError } from '../../src/errors.ts';
import { createFetcher } from '../../src/transfer/fetcher.ts';
import { startProxy, type HttpProxy } from '../support/http-proxy.ts';
import { startHttpServer, type HttpServer } from '../support/http-server.ts';
import {
  impatient,
  makeTransferFixture,
  readDocument,
  rejectionOf,
  type TransferFixture,
} from '../support/transfer-fixture.ts';

describe('fetching through a proxy', () => {
  let fixture: TransferFixture;
  let server: HttpServer;
  let proxy: HttpProxy;

  before(async () => {
    fixture = await makeTransferFixture();
    server = await startHttpServer(fixture.root);
  });

  after(async () => {
    await server.stop();
    await fixture.remove();
  });

  beforeEach(async () => {
    proxy = await startProxy();
  });

  afterEach(() => proxy.stop());

  async function read(url: string, environment: Readonly<Record<string, string>>): Promise<unknown> {
    const fetcher = createFetcher({ ...impatient(), environment });
    try {
      return (await readDocument(fetcher, url)).status;
    } catch (error) {
      return error;
    } finally {
      await fetcher.close();
    }
  }

  it('takes http_proxy without a scheme, and asks it in absolute form instead of CONNECT (statement 37)', async () => {
    const status = await read(`${server.url}index.json`, { http_proxy: new URL(proxy.url).host });
    expect({ status, requests: proxy.requests }).to.deep.equal({
      status: 200,
      requests: [{ method: 'GET', target: `${server.url}index.json`, authorization: undefined }],
    });
  });

  it('goes round the proxy for what no_proxy names with a leading dot (statement 37)', async () => {
    const local = server.url.replace('127.0.0.1', 'localhost');
    const status = await read(`${local}index.json`, { http_proxy: proxy.url, no_proxy: '.localhost' });
    expect({ status, requests: proxy.requests }).to.deep.equal({ status: 200, requests: [] });
  });

  it('signs in to the proxy, also with a user name alone', async () => {
    for (const user of ['ann:p%40ss', 'bob']) {
      await read(`${server.url}index.json`, { http_proxy: proxy.url.replace('//', `//${user}@`) });
    }
    expect(proxy.requests.map(({ authorization }) => authorization)).to.deep.equal([
      `Basic ${Buffer.from('ann:p@ss').toString('base64')}`,
      `Basic ${Buffer.from('bob:').toString('base64')}`,
    ]);
  });

  it('uses CONNECT for https, and names the proxy without its password when that fails', async () => {
    const secure = server.url.replace('http:', 'https:');
    const error = await read(`${secure}index.json`, { https_proxy: proxy.url.replace('//', '//ann:secret@') });
    expect(error).to.be.instanceOf(SourceError);
    expect(error)
      .to.have.property('message')
      .that.includes(`index.json through the proxy ${new URL(proxy.url).host}: `);
    expect(String(error)).not.to.include('secret');
    expect(proxy.requests[0]).to.deep.include({ method: 'CONNECT', target: new URL(secure).host });
  });

  for (const scheme of ['http', 'https']) {
    it(`says that the proxy refused, for ${scheme}`, async () => {
      const strict = await startProxy({ refuseWith: 407 });
      const url = `${server.url.replace('http', scheme)}index.json`;
      const error = await read(url, { http_proxy: strict.url });
      await strict.stop();
      expect(error).to.be.instanceOf(SourceError);
      expect(error)
        .to.have.property('message')
        .that.matches(/^cannot fetch .* through the proxy 127\.0\.0\.1:\d+: the proxy refused \(UND_ERR_[A-Z_]+\)$/);
    });
  }

  it('says through which proxy nothing could be reached', async () => {
    const stopped = await startProxy();
    await stopped.stop();
    const error = await read(`${server.url}index.json`, { http_proxy: stopped.url });
    expect(error).to.have.property(
      'message',
      `cannot fetch ${server.url}index.json through the proxy ${new URL(stopped.url).host}: ` +
        'the connection was refused (ECONNREFUSED)',
    );
  });

  it('refuses a proxy that it cannot use, without repeating the password', async () => {
    const fetcher = createFetcher({ ...impatient(), environment: { http_proxy: 'socks5://ann:secret@host' } });
    const error = await rejectionOf(readDocument(fetcher, `${server.url}index.json`));
    await fetcher.close();
    expect(error).to.be.instanceOf(UsageError);
    expect(String(error)).not.to.include('secret');
  });
});
