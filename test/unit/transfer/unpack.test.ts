import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { IntegrityError, NoSpaceError, SourceError } from '../../../src/errors.ts';
import { type Compression, detectCompression } from '../../../src/transfer/compression.ts';
import { boundSwelling, unpack } from '../../../src/transfer/unpack.ts';

const PLAIN = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * at) >>> 7));
const PACKERS = { gzip: ['gzip', '-c'], xz: ['xz', '-c0'], zstd: ['zstd', '-qc'] } as const;

async function* pieces(bytes: Uint8Array, pieceBytes = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

async function* breaking(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
  throw new SourceError('the connection broke');
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

const failureOf = (work: Promise<unknown>): Promise<unknown> => work.then(() => undefined).catch((error) => error);

for (const [compression, [program, ...args]] of Object.entries(PACKERS) as [Compression, readonly string[]][])
  describe(`unpacking ${compression}`, () => {
    const packed = execFileSync(program ?? '', args, { input: PLAIN });

    it('is known by its first bytes, and gives back what was packed', async () => {
      expect(detectCompression(packed)).to.equal(compression);
      expect(PLAIN.equals(await collect(unpack(compression, pieces(packed))))).to.equal(true);
    });

    it('takes several files that were put together', async () => {
      const twice = await collect(unpack(compression, pieces(Buffer.concat([packed, packed]))));
      expect(twice.equals(Buffer.concat([PLAIN, PLAIN]))).to.equal(true);
    });

    it('refuses what is cut off or damaged', async () => {
      const damaged = Buffer.from(packed);
      damaged.fill(0xaa, damaged.length / 2, damaged.length / 2 + 100);
      for (const bytes of [packed.subarray(0, -20), damaged]) {
        const error = await failureOf(collect(unpack(compression, pieces(bytes))));
        expect(error).to.be.instanceOf(IntegrityError);
        expect(String(error)).to.include(`${compression} data is damaged or cut off`);
      }
    });

    it('says what the sender said when that failed', async () => {
      const error = await failureOf(collect(unpack(compression, breaking(packed.subarray(0, -20)))));
      expect(error).to.be.instanceOf(SourceError).with.property('message', 'the connection broke');
    });

    it('ends when nobody reads on', async () => {
      for await (const chunk of unpack(compression, pieces(packed, 100))) {
        expect(PLAIN.subarray(0, chunk.length).equals(chunk)).to.equal(true);
        break;
      }
    });
  });

describe('how far a packed image may swell', () => {
  const chunk = new Uint8Array(64 << 20);
  async function* zeros(count: number): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < count; sent += 1) yield chunk;
  }
  const swell = (count: number, packedBytes: bigint, roomBytes?: bigint) => async (): Promise<bigint> => {
    let total = 0n;
    for await (const { length } of boundSwelling(zeros(count), { packedBytes: () => packedBytes, roomBytes }))
      total += BigInt(length);
    return total;
  };

  it('is a gigabyte whatever it was, and a thousand times what it was', async () => {
    expect(await swell(16, 1n)()).to.equal(1n << 30n);
    expect(await swell(17, (17n << 26n) / 1000n + 1n)()).to.equal(17n << 26n);
    expect(await failureOf(swell(17, 1000n)())).to.be.instanceOf(IntegrityError);
  });

  it('is never more than the room that there is', async () => {
    expect(await swell(2, 1n << 30n, 2n << 26n)()).to.equal(2n << 26n);
    expect(await failureOf(swell(3, 1n << 30n, 2n << 26n)())).to.be.instanceOf(NoSpaceError);
  });
});
