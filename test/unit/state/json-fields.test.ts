import { expect } from 'chai';
import { FailureError, IntegrityError } from '../../../src/errors.ts';
import {
  bytesField,
  checkFormatVersion,
  digestField,
  flatField,
  identityField,
  integerField,
  objectField,
  optionalBytesField,
  optionalDigestField,
  optionalStringField,
  parseJsonObject,
  stringField,
  stringListField,
  toFlatItem,
  type JsonObject,
} from '../../../src/state/json-fields.ts';

const parse = (json: unknown): JsonObject => parseJsonObject(Buffer.from(JSON.stringify(json)), 'file');

describe('parseJsonObject', () => {
  for (const text of ['', '{', '[]', '"x"', 'null', '5', '\ufeff{}', '{}{}', '\0']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => parseJsonObject(Buffer.from(text), 'file')).to.throw(IntegrityError, /^file is not /);
    });
  }

  it('refuses bytes that are not UTF-8', () => {
    expect(() => parseJsonObject(Buffer.from([0x22, 0xff, 0x22]), 'file')).to.throw(IntegrityError);
  });

  it('survives nesting that would exhaust a recursive parser', () => {
    expect(() => parseJsonObject(Buffer.from('['.repeat(500_000)), 'file')).to.throw(IntegrityError);
  });
});

describe('fields', () => {
  it('are read when they are what they should be', () => {
    const digest = { algorithm: 'md5', hex: '0f'.repeat(16) };
    const identity = { product: 'p', version: '1' };
    const object = parse({
      s: 'x',
      n: 0,
      b: '9223372036854775807',
      o: { s: 'y' },
      l: ['a'],
      f: { a: 'b' },
      digest,
      identity,
    });
    expect(stringField(object, 's')).to.equal('x');
    expect(integerField(object, 'n')).to.equal(0);
    expect(bytesField(object, 'b')).to.equal(2n ** 63n - 1n);
    expect(stringField(objectField(object, 'o'), 's')).to.equal('y');
    expect(stringListField(object, 'l')).to.deep.equal(['a']);
    expect(flatField(object, 'f')).to.deep.equal({ a: 'b' });
    expect(digestField(object, 'digest')).to.deep.equal(digest);
    expect(identityField(object, 'identity')).to.deep.equal(identity);
  });

  it('are undefined when they are optional and missing, and refused when they are null', () => {
    for (const read of [optionalStringField, optionalBytesField, optionalDigestField]) {
      expect(read(parse({}), 'x')).to.equal(undefined);
      expect(() => read(parse({ x: null }), 'x')).to.throw(IntegrityError);
    }
  });

  it('are not inherited', () => {
    for (const name of ['toString', 'constructor', '__proto__']) {
      expect(optionalStringField(parse({}), name)).to.equal(undefined);
    }
  });

  it('name the whole way to what is wrong', () => {
    const object = parse({ outer: { inner: { x: 5 } } });
    expect(() => stringField(objectField(objectField(object, 'outer'), 'inner'), 'x')).to.throw(
      IntegrityError,
      "file: field 'outer': field 'inner': field 'x' is not a string",
    );
  });

  for (const [what, read, bad] of [
    ['a string', stringField, [5, null, [], {}, true]],
    ['a whole number', integerField, [-1, 0.5, 2 ** 53, '1', null]],
    ['a number of bytes', bytesField, [5, '', '-1', '01', '1e3', ' 1', '9'.repeat(20)]],
    ['an object', objectField, ['x', null, []]],
    ['a list of strings', stringListField, ['x', [5], {}]],
    ['a flat object', flatField, [[], { a: 5 }, { a: null }, 'x']],
    [
      'a digest',
      digestField,
      [{}, { algorithm: 'md5', hex: 'AB'.repeat(16) }, { algorithm: 'sha1', hex: '0'.repeat(40) }],
    ],
    ['an identity', identityField, [{}, { product: 'p' }, 'p 1']],
  ] as const) {
    it(`that are not ${what} are refused as such`, () => {
      for (const value of [undefined, ...bad]) {
        expect(() => read(parse({ x: value }), 'x'), JSON.stringify(value)).to.throw(IntegrityError);
      }
    });
  }
});

describe('checkFormatVersion', () => {
  it('takes this format and older ones, and refuses newer ones without calling them damaged', () => {
    checkFormatVersion(parse({ formatVersion: 1 }), 2);
    checkFormatVersion(parse({ formatVersion: 2 }), 2);
    expect(() => checkFormatVersion(parse({ formatVersion: 3 }), 2)).to.throw(
      FailureError,
      'file was written by a newer poolkeeper (format 3)',
    );
    expect(() => checkFormatVersion(parse({}), 2)).to.throw(IntegrityError);
  });
});

describe('toFlatItem', () => {
  it('keeps every key, whatever it means to JavaScript', () => {
    const item = toFlatItem(parseJsonObject(Buffer.from('{"__proto__":"a","b":"c"}'), 'file'));
    expect(Object.entries(item)).to.deep.equal([
      ['__proto__', 'a'],
      ['b', 'c'],
    ]);
  });
});
