import { setImmediate } from 'node:timers/promises';

import { expect } from 'chai';

import { InterruptedError, PoolkeeperError, SourceError } from '../../src/errors.ts';
import { createFetcher } from '../../src/transfer/fetcher.ts';
import type { Fault } from '../support/http-fault.ts';
import { startHttpServer, type FaultOptions, type HttpServer } from '../support/http-server.ts';
import {
  impatient,
  makeTransferFixture,
  readDocument,
  rejectionOf,
  type TransferFixture,
} from '../support/transfer-fixture.ts';

interface FaultCase {
  readonly title: string;
  readonly fault: Fault;
  readonly options?: FaultOptions;
  /** A status and whether the document is whole, or the text behind `cannot fetch <address>: `. */
  readonly expected: readonly [status: number, isWhole: boolean] | string;
  /** The waits between tries; one more request was made. */
  readonly waits?: readonly number[];
}

const ALL_WAITS = [250, 500, 1000, 2000];

const CASES: readonly FaultCase[] = [
  {
    title: 'hands over status 403 and does not try again (statement 34)',
    fault: { kind: 'status', status: 403 },
    expected: [403, false],
  },
  {
    title: 'hands over status 500 after four retries (statement 34)',
    fault: { kind: 'status', status: 500 },
    expected: [500, false],
    waits: ALL_WAITS,
  },
  {
    title: 'gets the document after three answers of 502',
    fault: { kind: 'status', status: 502 },
    options: { times: 3 },
    expected: [200, true],
    waits: [250, 500, 1000],
  },
  {
    title: 'waits as long as Retry-After asks',
    fault: { kind: 'status', status: 429, headers: { 'retry-after': '7' } },
    options: { times: 1 },
    expected: [200, true],
    waits: [7000],
  },
  {
    title: 'waits no longer than 30 s, whatever Retry-After asks',
    fault: { kind: 'status', status: 503, headers: { 'retry-after': '86400' } },
    options: { times: 1 },
    expected: [200, true],
    waits: [30_000],
  },
  {
    title: 'hands over a page of HTML as it is, for its reader to refuse (statement 34)',
    fault: { kind: 'html' },
    expected: [200, false],
  },
  {
    title: 'names a connection that ends before the whole document is here',
    fault: { kind: 'truncate', afterBytes: 1000 },
    expected: 'the connection broke (UND_ERR_SOCKET)',
  },
  {
    title: 'names a connection that is reset in the middle',
    fault: { kind: 'reset', fraction: 0.5 },
    expected: 'the connection broke (ECONNRESET)',
  },
  {
    title: 'names a connection that falls silent',
    fault: { kind: 'stall', afterBytes: 1000 },
    expected: 'no more data came (UND_ERR_BODY_TIMEOUT)',
  },
  {
    title: 'names a Content-Length that promises too much',
    fault: { kind: 'content-length', value: 100_000 },
    expected: 'the connection broke (UND_ERR_RES_CONTENT_LENGTH_MISMATCH)',
  },
  {
    title: 'reads a document from a slow server to its end',
    fault: { kind: 'slow', bytesPerSecond: 50_000 },
    expected: [200, true],
  },
  {
    title: 'hands over a flipped byte, for the signature to show',
    fault: { kind: 'flip', offset: 50 },
    expected: [200, false],
  },
  {
    title: 'hands over extra bytes, for the signature to show',
    fault: { kind: 'extra', bytes: 1 },
    expected: [200, false],
  },
  {
    title: 'hands over a short document, for the signature to show',
    fault: { kind: 'short', bytes: 1, chunked: true },
    expected: [200, false],
  },
  {
    title: 'decodes gzip',
    fault: { kind: 'gzip' },
    expected: [200, true],
  },
  {
    title: 'follows a redirect',
    fault: { kind: 'redirect', to: '/index.json', status: 308 },
    expected: [200, true],
  },
  {
    title: 'gives up on redirects that do not end',
    fault: { kind: 'redirect', to: 'index.txt' },
    expected: 'more than 10 redirects',
  },
  {
    title: 'gives up on a redirect to nowhere',
    fault: { kind: 'redirect', to: 'http://[' },
    expected: 'it redirects to something that is not an address',
  },
  {
    title: 'needs no validators',
    fault: { kind: 'no-validators' },
    expected: [200, true],
  },
];

describe('documents over HTTP', () => {
  let fixture: TransferFixture;
  let server: HttpServer;

  before(async () => {
    fixture = await makeTransferFixture();
  });

  after(() => fixture.remove());

  beforeEach(async () => {
    server = await startHttpServer(fixture.root);
  });

  afterEach(() => server.stop());

  for (const { title, fault, options, expected, waits = [] } of CASES) {
    it(title, async () => {
      server.fault('/index.txt', fault, options);
      const patience = impatient();
      const fetcher = createFetcher(patience);
      const url = `${server.url}index.txt`;
      const outcome = await readDocument(fetcher, url).then(
        ({ status, text }) => [status, text === fixture.document.toString()],
        (error: unknown) => {
          if (error instanceof SourceError && error.hint !== undefined) return error.message;
          throw error;
        },
      );
      await fetcher.close();
      expect(outcome).to.deep.equal(typeof expected === 'string' ? `cannot fetch ${url}: ${expected}` : expected);
      expect(patience.waits).to.deep.equal(waits);
    });
  }

  async function withFetcher<T>(use: (fetcher: ReturnType<typeof createFetcher>) => Promise<T>): Promise<T> {
    const fetcher = createFetcher(impatient());
    try {
      return await use(fetcher);
    } finally {
      await fetcher.close();
    }
  }

  it('says who it is, and asks for gzip', async () => {
    await withFetcher((fetcher) => readDocument(fetcher, `${server.url}index.json`));
    const { 'user-agent': agent, 'accept-encoding': coding } = server.requests[0]?.headers ?? {};
    expect({ agent, coding }).to.deep.equal({ agent: 'poolkeeper/0.1.0', coding: 'gzip' });
  });

  it('decodes a gzip document, and hides the headers that described its coded bytes', async () => {
    await withFetcher(async (fetcher) => {
      const response = await fetcher.fetch(new URL('index.json', server.url), {});
      const chunks: Uint8Array[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      expect(Buffer.concat(chunks).equals(fixture.document)).to.equal(true);
      expect(response.headers).not.to.have.any.keys('content-encoding', 'content-length');
      expect(response.headers['etag']).to.match(/-gzip"$/);
    });
  });

  it('leaves a coding alone that the request chose itself', async () => {
    server.fault('/index.txt', { kind: 'gzip' });
    await withFetcher(async (fetcher) => {
      const headers = { 'accept-encoding': 'identity' };
      const response = await fetcher.fetch(new URL('index.txt', server.url), { headers });
      response.discard();
      expect(response.headers['content-encoding']).to.equal('gzip');
    });
  });

  it('names damaged gzip data', async () => {
    server.fault('/index.json', { kind: 'flip', offset: 40 });
    const url = `${server.url}index.json`;
    const error = await withFetcher((fetcher) => rejectionOf(readDocument(fetcher, url)));
    expect(error).to.be.instanceOf(SourceError);
    expect(error).to.have.property(
      'message',
      `cannot fetch ${url}: the gzip data in the answer is damaged (Z_DATA_ERROR)`,
    );
  });

  it('learns from the validators that nothing has changed', async () => {
    await withFetcher(async (fetcher) => {
      const url = new URL('index.json', server.url);
      const first = await fetcher.fetch(url, {});
      first.discard();
      const second = await readDocument(fetcher, url.href, { 'if-none-match': first.headers['etag'] ?? '' });
      expect(second).to.deep.equal({ status: 304, text: '' });
    });
  });

  it('does not decode an answer without content', async () => {
    server.fault('/index.json', { kind: 'status', status: 304, headers: { 'content-encoding': 'gzip' } });
    const answer = await withFetcher((fetcher) => readDocument(fetcher, `${server.url}index.json`));
    expect(answer).to.deep.equal({ status: 304, text: '' });
  });

  it('refuses a content coding that it cannot decode', async () => {
    const url = `${server.url}index.txt`;
    server.fault('/index.txt', { kind: 'status', status: 200, headers: { 'content-encoding': 'br' } });
    const error = await withFetcher((fetcher) => rejectionOf(readDocument(fetcher, url)));
    expect(error).to.be.instanceOf(SourceError);
    expect(error).to.have.property('message', `cannot fetch ${url}: its content coding 'br' was not asked for`);
  });

  for (const [where, user, headers] of [
    ['an address', 'ann:p%40ss@', {}],
    ['a request', '', { authorization: 'Basic YW5uOnBAc3M=' }],
  ] as const) {
    it(`sends the credentials of ${where} as Basic authentication, and keeps them from other origins`, async () => {
      const other = await startHttpServer(fixture.root);
      server.fault('/index.txt', { kind: 'redirect', to: '/index.json' });
      server.fault('/index.json', { kind: 'redirect', to: `${other.url}index.txt` });
      const url = new URL('index.txt', server.url.replace('//', `//${user}`));
      const answered = await withFetcher(async (fetcher) => {
        const response = await fetcher.fetch(url, { headers });
        response.discard();
        return response.url.href;
      });
      await other.stop();
      const sent = [...server.requests, ...other.requests].map((request) => request.headers.authorization);
      const basic = 'Basic YW5uOnBAc3M=';
      expect({ sent, answered }).to.deep.equal({ sent: [basic, basic, undefined], answered: `${other.url}index.txt` });
    });
  }

  it('keeps credentials and queries out of its errors', async () => {
    server.fault('/index.txt', { kind: 'redirect', to: '?signature=secret' });
    const url = server.url.replace('//', '//ann:secret@');
    const error = await withFetcher((fetcher) => rejectionOf(readDocument(fetcher, `${url}index.txt?token=secret`)));
    expect(error).to.be.instanceOf(SourceError);
    expect(error).to.have.property('message', `cannot fetch ${server.url}index.txt?...: more than 10 redirects`);
  });

  it('tries a refused connection four times again, then says what to look at', async () => {
    await server.stop();
    const patience = impatient();
    const fetcher = createFetcher(patience);
    const error = await rejectionOf(readDocument(fetcher, `${server.url}index.json`));
    await fetcher.close();
    server = await startHttpServer(fixture.root);
    if (!(error instanceof PoolkeeperError)) throw error;
    expect({ exit: error.exitStatus, hint: error.hint, waits: patience.waits }).to.deep.equal({
      exit: 11,
      hint: 'check that the server runs and that the port is right',
      waits: ALL_WAITS,
    });
    expect(error.message).to.match(/index\.json: the connection was refused \(ECONNREFUSED\)$/);
  });

  it('asks nothing when it is interrupted before', async () => {
    const reason = new InterruptedError('interrupted by SIGTERM', { exitStatus: 143 });
    const request = { signal: AbortSignal.abort(reason) };
    const error = await withFetcher((fetcher) => rejectionOf(fetcher.fetch(new URL(server.url), request)));
    expect({ error, requests: server.requests }).to.deep.equal({ error: reason, requests: [] });
  });

  it('does not wait for the next try when it is interrupted', async () => {
    server.fault('/index.txt', { kind: 'status', status: 503, headers: { 'retry-after': '30' } });
    const fetcher = createFetcher({ userAgent: 'poolkeeper/0.1.0' });
    const controller = new AbortController();
    const fetching = rejectionOf(fetcher.fetch(new URL('index.txt', server.url), { signal: controller.signal }));
    while (server.requests[0]?.status !== 503) await setImmediate();
    controller.abort();
    expect(await fetching).to.be.instanceOf(InterruptedError);
    await fetcher.close();
  });

  it('ends a body at once when it is interrupted', async () => {
    server.fault('/index.txt', { kind: 'stall', afterBytes: 10 });
    const fetcher = createFetcher({ userAgent: 'poolkeeper/0.1.0' });
    const controller = new AbortController();
    const { body } = await fetcher.fetch(new URL('index.txt', server.url), { signal: controller.signal });
    expect(await rejectionOf(abortWithin(body, controller))).to.be.instanceOf(InterruptedError);
    await fetcher.close();
  });

  it('refuses a scheme that it does not know', async () => {
    const error = await withFetcher((fetcher) => rejectionOf(readDocument(fetcher, 'ftp://ann:secret@host/x')));
    expect(error).to.be.instanceOf(SourceError);
    expect(error).to.have.property('message', "cannot fetch ftp://host/x: 'ftp:' is not supported");
  });
});

async function abortWithin(body: AsyncIterable<Uint8Array>, controller: AbortController): Promise<void> {
  for await (const chunk of body) {
    if (chunk.length > 0) controller.abort();
  }
}
