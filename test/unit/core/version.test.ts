import { expect } from 'chai';
import * as fc from 'fast-check';
import { compareVersions } from '../../../src/core/version.ts';

describe('compareVersions', () => {
  it('(17) orders by character and not by number', () => {
    const sorted = ['20240423.2', '20240423', '20240423.10', '20240423.1'].sort(compareVersions);
    expect(sorted).to.deep.equal(['20240423', '20240423.1', '20240423.10', '20240423.2']);
  });

  for (const [smaller, greater] of [
    ['', '0'],
    ['', '\0'],
    ['a', 'a\0'],
    ['20240101_07:42', '20240102_07:42'],
    ['9', 'A'],
    ['Z', 'a'],
    // A code unit of the second is smaller, its code point is not.
    ['\uff5e', '\u{1f600}'],
  ] as const) {
    it(`puts ${JSON.stringify(smaller)} before ${JSON.stringify(greater)}`, () => {
      expect(compareVersions(smaller, greater)).to.be.lessThan(0);
      expect(compareVersions(greater, smaller)).to.be.greaterThan(0);
    });
  }

  it('agrees with the order of bytes in UTF-8, whatever the names', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 6 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        const bytes = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareVersions(a, b))).to.equal(bytes);
      }),
    );
  });
});
