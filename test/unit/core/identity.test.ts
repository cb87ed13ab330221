import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  decodeMetadataName,
  decodeVolumeName,
  encodeMetadataName,
  encodeVolumeName,
} from '../../../src/core/identity.ts';
import { UsageError } from '../../../src/errors.ts';

const NOBLE = { product: 'com.ubuntu.cloud:server:24.04:amd64', version: '20240423.1' };
const NOBLE_BASE64 = 'x-uvt-b64-Y29tLnVidW50dS5jbG91ZDpzZXJ2ZXI6MjQuMDQ6YW1kNjQgMjAyNDA0MjMuMQ==';
const NOBLE_PLAIN = 'x-uvt-plain-com.ubuntu.cloud:server:24.04:amd64__20240423.1';

/** Parts of identities that uvtool can tell apart; every kind of character, not only those of real products. */
const part = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => !/[\s\p{Cc}]/u.test(text) && Buffer.byteLength(text) < 80);

const encodings: readonly [product: string, version: string, name: string][] = [
  [
    'com.ubuntu.cloud:server:12.04:amd64',
    '20131119',
    'x-uvt-b64-Y29tLnVidW50dS5jbG91ZDpzZXJ2ZXI6MTIuMDQ6YW1kNjQgMjAxMzExMTk=',
  ],
  [NOBLE.product, NOBLE.version, NOBLE_BASE64],
  ['p???', '>>>', 'x-uvt-b64-cD8_PyA-Pj4='],
  ['p~~~', '1', 'x-uvt-b64-cH5-fiAx'],
];

describe('encodeVolumeName', () => {
  for (const [product, version, name] of encodings) {
    it(`names ${product} ${version} as uvtool does in pools of type dir`, () => {
      expect(encodeVolumeName({ product, version }, 'dir')).to.equal(name);
      expect(encodeMetadataName({ product, version })).to.equal(name);
      expect(decodeVolumeName(name)).to.deep.equal({ product, version });
    });
  }

  for (const poolType of ['fs', 'netfs', 'logical', 'rbd']) {
    it(`uses the plain form in pools of type ${poolType}`, () => {
      expect(encodeVolumeName(NOBLE, poolType)).to.equal(NOBLE_PLAIN);
      expect(decodeVolumeName(NOBLE_PLAIN)).to.deep.equal(NOBLE);
    });
  }

  it('gives back every identity from its base64 form', () => {
    fc.assert(
      fc.property(part, part, (product, version) => {
        const name = encodeVolumeName({ product, version }, 'dir');
        expect(name).to.match(/^x-uvt-b64-[\w=-]+$/);
        expect(decodeVolumeName(name)).to.deep.equal({ product, version });
        expect(decodeMetadataName(name)).to.deep.equal({ product, version });
      }),
    );
  });

  it('gives back every identity from its plain form, or refuses to encode it', () => {
    const underscored = fc.stringMatching(/^[a_/]{1,6}$/);
    fc.assert(
      fc.property(fc.oneof(part, underscored), fc.oneof(part, underscored), (product, version) => {
        const isAmbiguous = version.includes('__') || version.startsWith('_') || `${product}${version}`.includes('/');
        if (isAmbiguous) expect(() => encodeVolumeName({ product, version }, 'fs')).to.throw(UsageError);
        else expect(decodeVolumeName(encodeVolumeName({ product, version }, 'fs'))).to.deep.equal({ product, version });
      }),
    );
  });

  for (const [what, bad] of [
    ['an empty part', ''],
    ['a blank', 'a b'],
    ['a line feed', 'a\nb'],
    ['white space that only Python knows', 'a\u001cb'],
    ['white space that only JavaScript knows', 'a\ufeffb'],
    ['a NUL', 'a\0b'],
    ['half a surrogate pair', 'a\ud800b'],
    ['more than a file name holds', 'a'.repeat(200)],
    ['more than a call stack holds', 'a'.repeat(1_000_000)],
  ] as const) {
    it(`refuses ${what}, in either part and for every type of pool`, () => {
      for (const poolType of ['dir', 'fs']) {
        expect(() => encodeVolumeName({ product: bad, version: '1' }, poolType)).to.throw(UsageError);
        expect(() => encodeVolumeName({ product: 'p', version: bad }, poolType)).to.throw(UsageError);
      }
    });
  }
});

describe('decodeVolumeName', () => {
  const base64 = (text: string): string => `x-uvt-b64-${Buffer.from(text).toString('base64')}`;
  for (const [what, name] of [
    ['any other name', 'web1.qcow2'],
    ['the empty name', ''],
    ['a prefix alone', 'x-uvt-b64-'],
    ['a plain prefix alone', 'x-uvt-plain-'],
    ['missing padding', NOBLE_BASE64.replaceAll('=', '')],
    ['the alphabet of plain base64', 'x-uvt-b64-cH5+fiAx'],
    ['white space inside base64', 'x-uvt-b64-cH5- fiAx'],
    ['bits after the last character', 'x-uvt-b64-cD8_PyA-Pj5='],
    ['characters that are not base64', 'x-uvt-b64-****'],
    ['a temporary name', `${NOBLE_BASE64}.tmp`],
    ['bytes that are not UTF-8', `x-uvt-b64-${Buffer.from([0xff, 0x20, 0x31]).toString('base64')}`],
    ['a product alone', base64('product')],
    ['an empty product', base64(' 1')],
    ['an empty version', base64('p ')],
    ['two blanks', base64('p  1')],
    ['three words', base64('p 1 2')],
    ['a tab for the blank', base64('p\t1')],
    ['a control character', base64('p\u001b 1')],
    ['a plain name without version', 'x-uvt-plain-product'],
    ['a plain name with an empty version', 'x-uvt-plain-product__'],
    ['a plain name with an empty product', 'x-uvt-plain-__1'],
    ['a plain name with a blank', 'x-uvt-plain-a b__1'],
    ['a plain name with a slash', 'x-uvt-plain-../a__1'],
    ['a prefix in upper case', NOBLE_BASE64.replace('x-uvt', 'X-UVT')],
    ['a huge name', base64(`${'a'.repeat(1_000_000)} 1`)],
  ] as const) {
    it(`takes ${what} for foreign`, () => {
      expect(decodeVolumeName(name)).to.equal(undefined);
    });
  }

  it('splits a plain name at its last two underscores, as uvtool does', () => {
    expect(decodeVolumeName('x-uvt-plain-a__b__1')).to.deep.equal({ product: 'a__b', version: '1' });
    expect(decodeVolumeName('x-uvt-plain-a___1')).to.deep.equal({ product: 'a_', version: '1' });
  });

  it('never gives two names the same identity in base64, whatever the name', () => {
    fc.assert(
      fc.property(fc.base64String({ maxLength: 60 }), (text) => {
        const name = `x-uvt-b64-${text.replaceAll('+', '-').replaceAll('/', '_')}`;
        const identity = decodeVolumeName(name);
        if (identity !== undefined) expect(encodeMetadataName(identity)).to.equal(name);
      }),
    );
  });
});

describe('decodeMetadataName', () => {
  it('knows only the base64 form', () => {
    expect(decodeMetadataName(NOBLE_BASE64)).to.deep.equal(NOBLE);
    expect(decodeMetadataName(NOBLE_PLAIN)).to.equal(undefined);
  });
});
