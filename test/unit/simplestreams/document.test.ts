import { expect } from 'chai';
import * as fc from 'fast-check';

import { PoolkeeperError, SourceError } from '../../../src/errors.ts';
import { parseDocument, type ParsedDocument } from '../../../src/simplestreams/document.ts';
import { flattenItems } from '../../../src/simplestreams/items.ts';

const URL_TEXT = 'https://foocloud.test/streams/v1/foo.json';

function parse(document: unknown): ParsedDocument {
  return parseDocument(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)), URL_TEXT);
}

function complaint(document: unknown): string {
  try {
    parse(document);
  } catch (error) {
    expect(error).to.be.instanceOf(SourceError).that.includes({ url: URL_TEXT });
    return error instanceof Error ? error.message.replace(`cannot use ${URL_TEXT}: `, '') : '';
  }
  return 'no complaint';
}

function products(tree: unknown): object {
  return { format: 'products:1.0', content_id: 'foo', products: tree };
}

describe('parseDocument', () => {
  for (const [document, expected] of [
    ['{', 'it is not valid JSON'],
    ['\u0000', 'it is not valid JSON'],
    ['[]', '$ must be an object'],
    ['null', '$ must be an object'],
    ['{"format": 7}', 'its format is 7'],
    ['{"format": "index:1.0"}', '$["index"] must be an object'],
    ['{"format": "index:1.0", "index": {"a": 1}}', '$["index"]["a"] must be an object'],
    ['{"format": "index:1.0", "index": {"a": {"path": 1}}}', '$["index"]["a"]["path"] must be a string'],
    ['{"format": "products:1.0", "content_id": 1}', '$["content_id"] must be a string'],
    ['{"format": "products:1.0", "content_id": "x"}', '$["products"] must be an object'],
    ['{"format": "index:1.0", "index": {}, "_aliases": []}', '$["_aliases"] must be an object'],
    ['{"format": "index:1.0", "index": {}, "_aliases": {"a": 1}}', '$["_aliases"]["a"] must be an object'],
  ] as const) {
    it(`rejects ${JSON.stringify(document)}`, () => {
      expect(complaint(document)).to.equal(expected);
    });
  }

  it('names the place of a product, version or item that is no object', () => {
    expect(complaint(products({ p: [] }))).to.equal('$["products"]["p"] must be an object');
    expect(complaint(products({ p: { versions: { v: 1 } } }))).to.equal(
      '$["products"]["p"]["versions"]["v"] must be an object',
    );
    expect(complaint(products({ p: { versions: { v: { items: { i: 'x' } } } } }))).to.equal(
      '$["products"]["p"]["versions"]["v"]["items"]["i"] must be an object',
    );
  });

  it('takes missing versions and items as none', () => {
    expect(parse(products({ p: {}, q: { versions: { v: {} } } }))).to.deep.equal({
      kind: 'products',
      contentId: 'foo',
      updated: undefined,
      tags: { format: 'products:1.0', content_id: 'foo' },
      products: [
        { name: 'p', tags: {}, versions: [] },
        { name: 'q', tags: {}, versions: [{ name: 'v', tags: {}, items: [] }] },
      ],
    });
  });

  it('rejects what would exhaust this process', () => {
    expect(complaint('['.repeat(5_000_000))).to.equal('it is nested too deeply');
    expect(complaint(`{"a":[${'{},'.repeat(2_000_000)}{}]}`)).to.equal('it holds too many values');
    expect(complaint(`[${'0,'.repeat(4_000_000)}0]`)).to.equal('it holds too many values');
    expect(complaint(JSON.stringify({ format: 'x\\"'.repeat(20_000) }))).to.equal('it holds a string that is too long');
    const tags = Object.fromEntries(Array.from({ length: 2_000 }, (_, n) => [`k${n}`, n]));
    expect(complaint({ ...products({}), ...tags })).to.equal('an object has too many tags');
  });

  it('keeps names like __proto__ and constructor harmless on every level', () => {
    const level = '"__proto__": {"polluted": "yes"}, "constructor": "c"';
    const text = `{"format": "products:1.0", "content_id": "foo", ${level}, "_aliases": {"a": {"b": {"__proto__": "x"}}},
      "products": {"__proto__": {${level}, "a": "b", "versions": {"__proto__": {"items": {"__proto__": {${level}}}}}}}}`;
    const document = parse(text);
    if (document.kind !== 'products') throw new Error('not products');
    const [item] = flattenItems(document, undefined);
    expect(item).to.deep.include({ product: '__proto__', version: '__proto__', itemName: '__proto__' });
    expect(Object.keys(item?.tags ?? {})).to.have.members([
      'format',
      'content_id',
      'constructor',
      'a',
      'product_name',
      'version_name',
      'item_name',
    ]);
    expect({}).to.not.have.property('polluted');
  });

  it('throws nothing but PoolkeeperErrors, whatever the bytes', () => {
    const scalar = fc.oneof(fc.constantFrom('index:1.0', 'products:1.0', '', '../x', null, true), fc.string());
    const key = fc.oneof(
      fc.constantFrom(
        'format',
        'index',
        'products',
        'versions',
        'items',
        'path',
        'content_id',
        '_aliases',
        '__proto__',
      ),
      fc.string(),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(scalar, fc.array(tie('tree'), { maxLength: 3 }), fc.dictionary(key, tie('tree'), { maxKeys: 4 })),
    }));
    const documents = fc.record({
      format: fc.constantFrom('index:1.0', 'products:1.0'),
      content_id: fc.constantFrom('foo', 1),
      index: tree,
      products: tree,
      _aliases: tree,
    });
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.oneof(documents, tree, fc.jsonValue()).map((value) => Buffer.from(JSON.stringify(value) ?? '')),
    );
    fc.assert(
      fc.property(bytes, (payload) => {
        try {
          const document = parseDocument(payload, URL_TEXT);
          if (document.kind === 'products') expect([...flattenItems(document, undefined)]).to.be.an('array');
        } catch (error) {
          expect(error).to.be.instanceOf(PoolkeeperError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
