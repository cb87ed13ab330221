import { expect } from 'chai';
import { formatBytes } from '../../../src/core/byte-size.ts';

describe('formatBytes', () => {
  for (const [bytes, text] of [
    [0n, '0 B'],
    [1n, '1 B'],
    [1023n, '1023 B'],
    [1024n, '1 KiB'],
    [1536n, '1.5 KiB'],
    [586n * 1024n ** 2n, '586 MiB'],
    [10n * 1024n ** 3n + 1024n ** 3n / 4n, '10.3 GiB'],
    [1024n ** 4n, '1 TiB'],
    [5000n * 1024n ** 5n, '5000 PiB'],
  ] as const) {
    it(`shows ${bytes} as '${text}'`, () => expect(formatBytes(bytes)).to.equal(text));
  }
});
