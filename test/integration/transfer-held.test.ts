import { expect } from 'chai';
import { InterruptedError, IntegrityError } from '../../src/errors.ts';
import type { HeldPart, ImageTransfer, SinkStart } from '../../src/transfer/image-transfer.ts';
import { type ImageBench, startImageBench } from '../support/image-bench.ts';
import { makeTransferFixture, rejectionOf, type TransferFixture } from '../support/transfer-fixture.ts';

const HALF = 1_300_000;

describe('a transfer of which the receiver holds a part', () => {
  let fixture: TransferFixture;
  let bench: ImageBench;
  let starts: SinkStart[];
  let etag: string | undefined;
  let lastModified: string | undefined;

  before(async () => {
    fixture = await makeTransferFixture();
  });
  after(() => fixture.remove());
  beforeEach(async () => {
    bench = await startImageBench(fixture);
    const response = await fetch(`${bench.server.url}disk.img`, { method: 'HEAD' });
    etag = response.headers.get('etag') ?? undefined;
    lastModified = response.headers.get('last-modified') ?? undefined;
    starts = [];
  });
  afterEach(() => bench.server.stop());

  it('asks for the rest only, hashes the whole, and shows the first bytes', async () => {
    const image = await bench.transfer({ openSink, held: () => held(HALF) });
    const whole = BigInt(fixture.image.length);
    expect({
      bytes: image.bytes,
      held: image.heldBytes,
      resumedAt: image.resumedAtBytes,
      ranges: ranges(),
    }).to.deep.equal({
      bytes: whole,
      held: BigInt(HALF),
      resumedAt: BigInt(HALF),
      ranges: [`bytes=${HALF}-`],
    });
    expect(starts).to.deep.equal([{ offset: BigInt(HALF), etag, lastModified }]);
    expect(bench.heads.map((head) => head.equals(fixture.image.subarray(0, 65_536)))).to.deep.equal([true]);
    expect(bench.sinks.map((sink) => sink.bytes().equals(fixture.image.subarray(HALF)))).to.deep.equal([true]);
  });

  it('asks for nothing when the receiver holds all of it', async () => {
    const image = await bench.transfer({ openSink, held: () => held(fixture.image.length) });
    expect({ bytes: image.bytes, ranges: ranges(), sinks: bench.sinks.map(({ state }) => state) }).to.deep.equal({
      bytes: BigInt(fixture.image.length),
      ranges: [],
      sinks: ['finished'],
    });
  });

  it('uses the date where there is no strong entity tag', async () => {
    bench.server.fault('/disk.img', { kind: 'etag', value: 'W/"weak"' });
    await bench.transfer({ openSink, held: () => ({ ...held(HALF), etag: 'W/"weak"' }) });
    expect(bench.server.requests.at(-1)?.headers['if-range']).to.equal(lastModified);
    expect(ranges()).to.deep.equal([`bytes=${HALF}-`]);
  });

  const restarts: readonly (readonly [string, () => Partial<HeldPart>, readonly (string | undefined)[]])[] = [
    ['the image has changed', () => ({ etag: '"older"' }), [`bytes=${HALF}-`, undefined]],
    ['nothing is known about the sender', () => ({ etag: undefined, lastModified: undefined }), [undefined]],
    ['less is there than was held', () => ({ read: () => chunks(HALF - 1) }), [undefined]],
    ['less is held than the header is long', () => held(65_535), [undefined]],
  ];
  for (const [title, change, expected] of restarts) {
    it(`begins again when ${title}`, async () => {
      const image = await bench.transfer({ openSink, held: () => ({ ...held(HALF), ...change() }) });
      expect({ held: image.heldBytes, ranges: ranges(), offsets: starts.map(({ offset }) => offset) }).to.deep.equal({
        held: 0n,
        ranges: expected,
        offsets: [0n],
      });
      expect(bench.sinks.at(-1)?.bytes().equals(fixture.image)).to.equal(true);
    });
  }

  it('fails when what was held is not what it was', async () => {
    const spoiled = Buffer.from(fixture.image);
    spoiled[70_000] = (spoiled[70_000] ?? 0) ^ 1;
    const job = { openSink, held: () => ({ ...held(HALF), read: () => chunks(HALF, spoiled) }) };
    expect(await rejectionOf(bench.transfer(job))).to.be.instanceOf(IntegrityError);
    expect(bench.sinks.map(({ state }) => state)).to.deep.equal(['aborted']);
  });

  it('goes on at the next address with what has been received by then', async () => {
    bench.server.fault('/disk.img', { kind: 'truncate', afterBytes: 2_097_152 }, { times: 1 });
    bench.server.fault('/disk.img', { kind: 'status', status: 403 }, { after: 1, times: 1 });
    const url = new URL('disk.img', bench.server.url);
    const job = { urls: [url, url], openSink, held: () => held(bench.sinks[0]?.bytes().length ?? 0) };
    await bench.transfer(job, { retries: 1 });
    expect(ranges()).to.deep.equal([undefined, 'bytes=2097152-', 'bytes=2097152-']);
  });

  it('stops while it reads what is held, when it is interrupted', async () => {
    const controller = new AbortController();
    const reason = new InterruptedError('stopped by SIGTERM');
    const read = async function* () {
      for await (const chunk of chunks(HALF)) {
        controller.abort(reason);
        yield chunk;
      }
    };
    const job = { openSink, held: () => ({ ...held(HALF), read }) };
    expect(await rejectionOf(bench.transfer(job, { signal: controller.signal }))).to.equal(reason);
    expect(ranges()).to.deep.equal([]);
  });

  const openSink: ImageTransfer['openSink'] = (head, start) => {
    starts.push(start);
    return bench.openSink(head);
  };

  function held(bytes: number): HeldPart {
    return { bytes: BigInt(bytes), etag, lastModified, read: () => chunks(bytes) };
  }

  async function* chunks(bytes: number, image = fixture.image): AsyncGenerator<Uint8Array> {
    for (let start = 0; start < bytes; start += 10_000) yield image.subarray(start, Math.min(start + 10_000, bytes));
  }

  function ranges() {
    return bench.server.requests.filter(({ method }) => method === 'GET').map(({ headers }) => headers.range);
  }
});
