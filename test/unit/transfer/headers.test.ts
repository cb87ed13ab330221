import { expect } from 'chai';

import {
  contentCoding,
  flattenHeaders,
  parseContentLength,
  parseContentRange,
  rangeValidator,
} from '../../../src/transfer/headers.ts';

describe('headers', () => {
  it('become one text each, under lower-case names', () => {
    expect(flattenHeaders({ ETag: '"a"', vary: ['a', 'b'], date: undefined })).to.deep.equal({
      etag: '"a"',
      vary: 'a, b',
    });
  });

  it('with hostile names stay plain data', () => {
    const headers = flattenHeaders(JSON.parse('{"__proto__": "x", "constructor": "y"}'));
    expect(Object.entries(headers)).to.deep.equal([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });

  it('give a length only when it is a plain number', () => {
    const values = ['0', '586', '', '-1', '+1', '1.5', '0x10', '1e3', '1, 1', '9'.repeat(19), undefined];
    const expected = [0n, 586n, ...Array.from({ length: 9 }, () => undefined)];
    expect(values.map(parseContentLength)).to.deep.equal(expected);
  });

  it('give a range only when it is well-formed', () => {
    const values = [
      'bytes 5-9/10',
      'Bytes 5-9/*',
      'bytes */10',
      'bytes 5-/10',
      'items 5-9/10',
      'bytes 5-9',
      '',
      undefined,
    ];
    expect(values.map(parseContentRange)).to.deep.equal([
      { first: 5n, last: 9n, total: 10n },
      { first: 5n, last: 9n, total: undefined },
      ...Array.from({ length: 6 }, () => undefined),
    ]);
  });

  it('let a transfer be continued by a strong tag, else by the date, never by a weak tag', () => {
    const date = 'Fri, 20 Nov 2026 12:00:00 GMT';
    const found = [
      { etag: '"a"', 'last-modified': date },
      { etag: 'W/"a"', 'last-modified': date },
      { etag: 'W/"a"' },
      {},
    ].map(rangeValidator);
    expect(found).to.deep.equal(['"a"', date, undefined, undefined]);
  });

  it('tell the coding in lower case, identity when there is none', () => {
    const found = [{}, { 'content-encoding': '' }, { 'content-encoding': ' GZIP ' }].map(contentCoding);
    expect(found).to.deep.equal(['identity', 'identity', 'gzip']);
  });
});
