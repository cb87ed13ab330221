import { expect } from 'chai';
import { parseBytes } from '../../../src/core/byte-size.ts';
import { UsageError } from '../../../src/errors.ts';

describe('parseBytes', () => {
  const sizes: readonly (readonly [string, bigint])[] = [
    ['0', 0n],
    ['1073741824', 2n ** 30n],
    ['12B', 12n],
    ['3k', 3n * 2n ** 10n],
    ['500M', 500n * 2n ** 20n],
    ['10G', 10n * 2n ** 30n],
    ['10GiB', 10n * 2n ** 30n],
    ['10gb', 10n * 2n ** 30n],
    ['2T', 2n * 2n ** 40n],
    ['1PiB', 2n ** 50n],
  ];
  for (const [text, bytes] of sizes) {
    it(`reads '${text}'`, () => {
      expect(parseBytes(text, '--reserve')).to.equal(bytes);
    });
  }

  for (const text of ['', ' 1', '-1', '1.5G', '1e9', 'G', '1GG', '1iB', '1 G', '٣', '9'.repeat(16)]) {
    it(`refuses '${text}' and names the option`, () => {
      expect(() => parseBytes(text, '--reserve')).to.throw(UsageError, `'${text}' is not a size for --reserve`);
    });
  }
});
