import { createHash } from 'node:crypto';

import { expect } from 'chai';
import * as fc from 'fast-check';

import { ImageWriter, SLAB_BYTES } from '../../../src/transfer/image-writer.ts';
import { openMemorySink } from '../../support/memory-sink.ts';

describe('image writer', () => {
  const image = createHash('shake256', { outputLength: 3 * SLAB_BYTES + 12_345 })
    .update('image')
    .digest();

  it('passes on every byte in order, in whole slabs, however the bytes arrive', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 3 * SLAB_BYTES }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 0, max: SLAB_BYTES }), async (chunkSizes, headBytes) => {
        const sink = openMemorySink();
        const heads: Buffer[] = [];
        const openSink = async (head: Uint8Array) => {
          heads.push(Buffer.from(head));
          return sink;
        };
        const writer = new ImageWriter({ algorithm: 'sha256', headBytes, openSink });
        for (const chunk of split(image, chunkSizes)) await writer.add(chunk);
        const digest = await writer.drain();
        const ended = sink.state;
        await writer.finish();
        expect({ digest, ended, state: sink.state, same: sink.bytes().equals(image) }).to.deep.equal({
          digest: createHash('sha256').update(image).digest('hex'),
          ended: 'open',
          state: 'finished',
          same: true,
        });
        expect(heads.map((head) => head.equals(image.subarray(0, headBytes)))).to.deep.equal([true]);
      }),
      { numRuns: 20 },
    );
  });

  it('takes the next slab while the one before is still being sent, and no more than that', async () => {
    const sent: (() => void)[] = [];
    const write = (): Promise<void> => new Promise((resolve) => sent.push(resolve));
    const sink = { write, finish: async () => {}, abort: async () => {} };
    const writer = new ImageWriter({ algorithm: 'md5', headBytes: 0, openSink: async () => sink });
    await writer.add(image.subarray(0, SLAB_BYTES));
    await writer.add(image.subarray(SLAB_BYTES, 2 * SLAB_BYTES - 1));
    let isTaken = false;
    const addThird = async (): Promise<void> => {
      await writer.add(image.subarray(2 * SLAB_BYTES - 1, 2 * SLAB_BYTES));
      isTaken = true;
    };
    const third = addThird();
    await new Promise(setImmediate);
    const before = { isTaken, writes: sent.length };
    sent[0]?.();
    await third;
    expect([before, { isTaken, writes: sent.length }]).to.deep.equal([
      { isTaken: false, writes: 1 },
      { isTaken: true, writes: 2 },
    ]);
  });

  it('waits for a write under way before it aborts the sink', async () => {
    const events: string[] = [];
    const sink = {
      async write() {
        await new Promise(setImmediate);
        events.push('write failed');
        throw new Error('no space');
      },
      finish: async () => {},
      async abort() {
        events.push('abort');
      },
    };
    const writer = new ImageWriter({ algorithm: 'md5', headBytes: 0, openSink: async () => sink });
    await writer.add(image.subarray(0, SLAB_BYTES));
    await writer.abort();
    expect(events).to.deep.equal(['write failed', 'abort']);
  });
});

function* split(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  let start = 0;
  for (const size of sizes) {
    yield bytes.subarray(start, start + size);
    start += size;
  }
  yield bytes.subarray(start);
}
