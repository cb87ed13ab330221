import { expect } from 'chai';
import { IntegrityError } from '../../../src/errors.ts';
import { assertWholeQcow2 } from '../../../src/image-format/qcow2-extent.ts';
import { parseQcow2Header } from '../../../src/image-format/qcow2.ts';
import { readerOf } from './image-bytes.ts';
import { qcow2Head } from './qcow2-image.ts';

const CLUSTER = 65_536;
const L1_AT = 3 * CLUSTER;
const L2_AT = 4 * CLUSTER;

/** An image whose first cluster of data is as the L2 entry says; it has room for tables and one cluster. */
function imageWith(entry: bigint, l1Entry = BigInt(L2_AT) | (1n << 63n)): Buffer {
  const bytes = Buffer.concat([qcow2Head(), Buffer.alloc(5 * CLUSTER)]);
  bytes.writeBigUInt64BE(l1Entry, L1_AT);
  bytes.writeBigUInt64BE(entry, L2_AT + 8);
  return bytes;
}

const check = (bytes: Buffer, sizeBytes = BigInt(bytes.length)): Promise<unknown> =>
  assertWholeQcow2(readerOf(bytes), parseQcow2Header(bytes), { name: 'golden', sizeBytes }).catch((error) => error);

describe('a qcow2 image', () => {
  it('is whole when all that it refers to lies in it', async () => {
    for (const entry of [0n, 1n, 5n * 65_536n, (5n * 65_536n) | (1n << 63n), (1n << 62n) | (5n * 65_536n + 700n)])
      expect(await check(imageWith(entry)), String(entry)).to.equal(undefined);
  });

  it('is cut off when data, packed data or a table lies behind its end', async () => {
    const sectors = 200n << 54n;
    for (const bytes of [
      imageWith(6n * 65_536n),
      imageWith((1n << 62n) | (6n * 65_536n)),
      imageWith((1n << 62n) | sectors | (5n * 65_536n)),
      imageWith(0n, 6n * 65_536n),
    ]) {
      const error = await check(bytes);
      expect(error).to.be.instanceOf(IntegrityError);
      expect(String(error)).to.match(/image 'golden' is cut off: it refers to byte \d+, and has 393216$/);
    }
  });
});
