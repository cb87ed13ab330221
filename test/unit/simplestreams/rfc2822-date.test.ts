import { expect } from 'chai';
import * as fc from 'fast-check';

import { parseRfc2822Date } from '../../../src/simplestreams/rfc2822-date.ts';

describe('parseRfc2822Date', () => {
  const expected = Date.UTC(2024, 7, 22, 3, 28, 23);

  for (const text of [
    'Thu, 22 Aug 2024 03:28:23 +0000',
    'Wed, 21 Aug 2024 23:28:23 -0400',
    'Mon, 22 Aug 2024 05:28:23 +0200',
    '22 August 2024 03:28:23 GMT',
    '  thu, 22 aug 2024 03:28:23  ',
  ]) {
    it(`reads '${text}', whatever the weekday`, () => {
      expect(parseRfc2822Date(text)).to.equal(expected);
    });
  }

  for (const text of [
    '',
    'yesterday',
    '31 Jun 2024 00:00:00 +0000',
    '2024-08-22T03:28:23Z',
    '22 Aug 2024 25:00 GMT',
    '5',
  ]) {
    it(`does not read '${text}'`, () => {
      expect(parseRfc2822Date(text)).to.equal(undefined);
    });
  }

  it('reads back every date that is written', () => {
    const seconds = fc.integer({ min: -2_000_000_000, max: 4_000_000_000 });
    fc.assert(
      fc.property(seconds, (second) => {
        const ms = second * 1000;
        expect(parseRfc2822Date(new Date(ms).toUTCString().replace('GMT', '+0000'))).to.equal(ms);
      }),
    );
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseRfc2822Date(text)));
  });
});
