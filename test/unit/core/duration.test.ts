import { expect } from 'chai';
import { formatDuration, parseDuration } from '../../../src/core/duration.ts';
import { UsageError } from '../../../src/errors.ts';

describe('parseDuration', () => {
  for (const [text, milliseconds] of [
    ['0', 0],
    ['0h', 0],
    ['90', 90_000],
    ['500ms', 500],
    ['2s', 2000],
    ['1m', 60_000],
    ['1min', 60_000],
    ['2h', 7_200_000],
    ['1h30m', 5_400_000],
    ['1d12h', 129_600_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    ['36500d', 3_153_600_000_000],
  ] as const) {
    it(`reads '${text}' as ${milliseconds} ms`, () => expect(parseDuration(text, '--grace')).to.equal(milliseconds));
  }

  for (const text of [
    '',
    ' ',
    'soon',
    '2 h',
    '-1',
    '-2h',
    '1.5h',
    '1h30',
    '30 1h',
    '2y',
    'h',
    '1e3',
    '٣',
    '1H',
    '2h ',
  ]) {
    it(`refuses ${JSON.stringify(text)} and names the option`, () => {
      expect(() => parseDuration(text, '--grace'))
        .to.throw(UsageError, `'${text}' is not a duration for --grace`)
        .with.property('hint', 'write seconds, or a number with s, m, h, d or w, such as 2h or 1h30m');
    });
  }

  for (const text of ['36501d', '999999999999w', '9999999999999', '999999999999']) {
    it(`refuses ${text}, beyond any calendar`, () => {
      expect(() => parseDuration(text, '--min-age')).to.throw(UsageError, '--min-age');
    });
  }
});

describe('formatDuration', () => {
  for (const [milliseconds, text] of [
    [0, '0s'],
    [999, '0s'],
    [1000, '1s'],
    [61_000, '1min 1s'],
    [7_199_000, '1h 59min'],
    [86_400_000, '1d'],
    [90_061_000, '1d 1h'],
  ] as const) {
    it(`shows ${milliseconds} ms as '${text}'`, () => expect(formatDuration(milliseconds)).to.equal(text));
  }
});
