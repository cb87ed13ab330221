import { expect } from 'chai';

import { looksLikeHtml, parseBoundedJson } from '../../../src/simplestreams/json.ts';

describe('looksLikeHtml', () => {
  it('recognises a page behind white space and a byte order mark', () => {
    for (const text of ['<html>', '\r\n\t <!doctype html>', '\ufeff<p>'])
      expect(looksLikeHtml(Buffer.from(text)), text).to.equal(true);
  });

  it('does not take JSON, text or a binary signature for a page', () => {
    for (const bytes of [
      Buffer.from('{"a": "<html>"}'),
      Buffer.from(''),
      Buffer.from('x<'),
      Buffer.from([0x88, 0x3c]),
    ]) {
      expect(looksLikeHtml(bytes)).to.equal(false);
    }
  });
});

describe('parseBoundedJson', () => {
  it('parses what JSON.parse does, strings with brackets and escapes included', () => {
    const value = { 'a"[': ['\\', '{"', 1.5e3, true, null, 'ü\ud83d\ude00'], b: { c: '[[[[' } };
    const nested = `\ufeff${JSON.stringify(value, undefined, 2)}`;
    expect(parseBoundedJson(Buffer.from(nested), 'x')).to.deep.equal(value);
  });
});
