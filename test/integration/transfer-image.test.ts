import { expect } from 'chai';

import { InterruptedError, IntegrityError, PoolkeeperError, TrustError } from '../../src/errors.ts';
import type { ImageTransfer } from '../../src/transfer/image-transfer.ts';
import { startHttpServer } from '../support/http-server.ts';
import { HEAD_BYTES, startImageBench, type ImageBench } from '../support/image-bench.ts';
import { digestOf, makeTransferFixture, rejectionOf, type TransferFixture } from '../support/transfer-fixture.ts';

const FULL = 2_621_440;

describe('image transfer over HTTP', () => {
  let fixture: TransferFixture;
  let bench: ImageBench;

  before(async () => {
    fixture = await makeTransferFixture();
  });

  after(() => fixture.remove());

  beforeEach(async () => {
    bench = await startImageBench(fixture);
  });

  afterEach(() => bench.server.stop());

  it('continues a connection that was reset at 30 %, from where it broke (statement 36)', async () => {
    bench.server.fault('/disk.img', { kind: 'reset', fraction: 0.3 }, { times: 1 });
    const image = await bench.transfer();
    const [first, second] = bench.server.requests;
    expect({ ...image, requestedUrl: image.requestedUrl.href, url: image.url.href }).to.deep.equal({
      requestedUrl: `${bench.server.url}disk.img`,
      url: `${bench.server.url}disk.img`,
      bytes: BigInt(FULL),
      heldBytes: 0n,
      resumedAtBytes: BigInt(FULL - (second?.bytes ?? 0)),
      etag: second?.headers['if-range'],
    });
    expect(first?.headers['accept-encoding']).to.equal('identity');
    expect(bench.sinks.map(({ state }) => state)).to.deep.equal(['finished']);
    expect(bench.sinks[0]?.bytes().equals(fixture.image)).to.equal(true);
  });

  it('shows the first bytes to whoever opens the sink, and nothing else', async () => {
    await bench.transfer();
    expect(bench.heads.map((head) => head.equals(fixture.image.subarray(0, HEAD_BYTES)))).to.deep.equal([true]);
  });

  it('reads nothing behind the first bytes until the sink is open, and nothing at all when it is refused', async () => {
    const refusal = new TrustError("cannot accept image 'x': it names a backing file");
    const reads: string[] = [];
    const body = async function* () {
      try {
        for (let start = 0; start < FULL; start += HEAD_BYTES / 2) {
          reads.push(`read from ${start}`);
          yield fixture.image.subarray(start, start + HEAD_BYTES / 2);
        }
      } finally {
        reads.push('closed');
      }
    };
    const url = new URL(bench.server.url);
    const fetcher = { fetch: async () => ({ status: 200, headers: {}, url, body: body(), discard: () => {} }) };
    const openSink = async (): Promise<never> => {
      reads.push('open');
      throw refusal;
    };
    expect(await rejectionOf(bench.transfer({ openSink }, { fetcher }))).to.equal(refusal);
    expect(reads).to.deep.equal(['read from 0', 'read from 32768', 'open', 'closed']);
  });

  it('passes on what a sink throws, and aborts the sink', async () => {
    const full = new Error('no space');
    const openSink: ImageTransfer['openSink'] = async (head) => {
      const sink = await bench.openSink(head);
      return { write: () => Promise.reject(full), finish: () => sink.finish(), abort: () => sink.abort() };
    };
    expect(await rejectionOf(bench.transfer({ openSink }))).to.equal(full);
    expect(bench.sinks.map(({ state }) => state)).to.deep.equal(['aborted']);
  });

  for (const algorithm of ['sha512', 'sha256', 'md5'] as const) {
    it(`accepts an upper-case ${algorithm} and refuses a wrong one (statement 25)`, async () => {
      const { hex } = digestOf(fixture.image, algorithm);
      await bench.transfer({ digest: { algorithm, hex: hex.toUpperCase() } });
      const wrong = hex.replace(/^./, hex.startsWith('0') ? '1' : '0');
      const error = await rejectionOf(bench.transfer({ digest: { algorithm, hex: wrong } }));
      if (!(error instanceof IntegrityError)) throw error;
      expect({ message: error.message, expected: error.expected, found: error.found }).to.deep.equal({
        message: `cannot accept image ${bench.server.url}disk.img: expected ${algorithm} ${wrong}, found ${hex}`,
        expected: wrong,
        found: hex,
      });
      expect(bench.sinks.map(({ state }) => state)).to.deep.equal(['finished', 'aborted']);
    });
  }

  it('takes the next mirror when the first address has no such image', async () => {
    const urls = [new URL('gone.img', bench.server.url), new URL('disk.img', bench.server.url)];
    const image = await bench.transfer({ urls });
    expect(image.url.href).to.equal(`${bench.server.url}disk.img`);
  });

  it('takes the next mirror when nobody answers at the first address', async () => {
    const stopped = await startHttpServer(fixture.root);
    await stopped.stop();
    const image = await bench.transfer({
      urls: [new URL('disk.img', stopped.url), new URL('disk.img', bench.server.url)],
    });
    expect(image.url.href).to.equal(`${bench.server.url}disk.img`);
  });

  it('names every address when none has the image', async () => {
    const urls = [new URL('a.img', bench.server.url), new URL('b.img', bench.server.url)];
    const error = await rejectionOf(bench.transfer({ urls }));
    expect(error).to.be.instanceOf(PoolkeeperError);
    expect(error).to.have.property(
      'message',
      'cannot fetch the image from any of its 2 addresses: ' +
        `cannot fetch image ${bench.server.url}a.img: the server answered with status 404; ` +
        `cannot fetch image ${bench.server.url}b.img: the server answered with status 404`,
    );
  });

  it('does not ask a mirror after a wrong digest', async () => {
    bench.server.fault('/disk.img', { kind: 'flip', offset: 100 });
    const url = new URL('disk.img', bench.server.url);
    expect(await bench.outcomeOf(bench.transfer({ urls: [url, url] }))).to.deep.equal({
      exit: 15,
      code: 'POOLKEEPER_INTEGRITY',
      sinks: ['aborted'],
      ranges: [undefined],
    });
  });

  it('asks caches for a fresh copy when told to', async () => {
    await bench.transfer({ bypassCaches: true });
    expect(bench.server.requests.map(({ headers }) => headers['cache-control'])).to.deep.equal(['no-cache']);
  });

  it('reports every byte, in order', async () => {
    const seen: bigint[] = [];
    await bench.transfer({ onProgress: (bytes) => seen.push(bytes) });
    expect(seen).to.deep.equal([...new Set(seen)].sort((a, b) => Number(a - b)));
    expect(seen.at(-1)).to.equal(BigInt(FULL));
  });

  it('stops at once when it is interrupted, and aborts the sink', async () => {
    bench.server.fault('/disk.img', { kind: 'stall', afterBytes: 1_048_576 });
    const interruption = new InterruptedError('interrupted by SIGTERM', { exitStatus: 143 });
    const controller = new AbortController();
    const onProgress = (bytes: bigint): void => {
      if (bytes === 1_048_576n) controller.abort(interruption);
    };
    expect(await rejectionOf(bench.transfer({ onProgress }, { signal: controller.signal }))).to.equal(interruption);
    expect({ sinks: bench.sinks.map(({ state }) => state), requests: bench.server.requests.length }).to.deep.equal({
      sinks: ['aborted'],
      requests: 1,
    });
  });

  it('takes an image smaller than its head, and an empty one', async () => {
    for (const bytes of [Buffer.from('tiny'), Buffer.alloc(0)]) {
      const url = new URL(`data-${bytes.length}`, bench.server.url);
      const body = async function* () {
        if (bytes.length > 0) yield bytes;
      };
      const fetcher = { fetch: async () => ({ status: 200, headers: {}, url, body: body(), discard: () => {} }) };
      const sizeBytes = BigInt(bytes.length);
      const image = await bench.transfer({ urls: [url], sizeBytes, digest: digestOf(bytes) }, { fetcher });
      const expected = { requestedUrl: url, url, bytes: sizeBytes, heldBytes: 0n, resumedAtBytes: 0n, etag: undefined };
      expect(image).to.deep.equal(expected);
    }
    expect(bench.heads).to.deep.equal([Buffer.from('tiny'), Buffer.alloc(0)]);
  });
});
