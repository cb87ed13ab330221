import { expect } from 'chai';
import { IntegrityError } from '../../../../src/errors.ts';
import { readReferences } from '../../../../src/libvirt/xml/references.ts';

const BOMB = `<!DOCTYPE domain [<!ENTITY a "aaaaaaaaaa">${Array.from({ length: 9 }, (_, n) => `<!ENTITY a${n} "&a;&a;&a;&a;">`).join('')}]>`;

const REFUSED: readonly (readonly [what: string, xml: string, message: RegExp])[] = [
  ['an empty document', '', /missing root element$/],
  ['text', 'error: no domain', /missing root element$/],
  ['a truncated tag', "<domain>\n<devices><disk type='fi", /line \d: .*no end/],
  ['a truncated document', '<domain>\n<devices>', /line 2: unclosed xml tag/],
  ['tags that do not match', '<domain>\n<a>\n</b></domain>', /line 2: .*tag mismatch/],
  ['an attribute without quotes', '<domain type=kvm/>', /line 1: .*quot/],
  ['two root elements', '<domain/><domain/>', /line 1: /],
  ['text after the root element', '<domain/>x', /line 1: Extra content/],
  ['an entity that is not defined', "<domain><os><kernel v='&path;'/></os></domain>", /line 1: entity not found/],
  ['a prefix that is not declared', '<domain><qemu:commandline/></domain>', /line 1: .*prefix/],
  ['an entity bomb', `${BOMB}<domain>&a8;</domain>`, /entity not found/],
  ['a document type declaration', '<!DOCTYPE domain><domain/>', /document type declaration$/],
  ['an external document type', '<!DOCTYPE domain SYSTEM "file:///etc/passwd"><domain/>', /document type declaration$/],
  ['a NUL', "<domain><x a='/a\0b'/></domain>", /NUL character$/],
  ['an escaped NUL', "<domain><x a='/a&#x0;b'/></domain>", /\/domain\/x\/@a contains a NUL character$/],
  [
    'an unknown root element',
    '<network><name>default</name></network>',
    /root element <network> is not one of libvirt's$/,
  ],
  ['a root element named like a method', '<toString/>', /root element <toString> is not one of libvirt's$/],
  ['100,000 nested elements', `${'<a>'.repeat(100_000)}${'</a>'.repeat(100_000)}`, /nested deeper than 1024 elements$/],
  ['more than 64 MiB', `<domain>${' '.repeat(64 * 1024 * 1024)}</domain>`, /larger than 67108864 characters$/],
];

describe('readReferences on hostile documents', () => {
  for (const [what, xml, message] of REFUSED) {
    it(`refuses ${what}`, () => {
      expect(() => readReferences(xml)).to.throw(IntegrityError, message);
    });
  }

  it('tolerates one encoding warning, not the errors behind it', () => {
    expect(() => readReferences("<domain a='\ufffd' b=c/>")).to.throw(IntegrityError, /quot/);
  });

  it('reads an attribute of 10 million characters', () => {
    const value = `/${'a'.repeat(10_000_000)}`;
    expect(readReferences(`<domain><x y='${value}'/></domain>`).references).to.deep.equal([
      { kind: 'path', value, evidence: '/domain/x/@y' },
    ]);
  });

  it('reads a backing chain of 900 images', () => {
    const chain = Array.from({ length: 900 }, (_, n) => `<backingStore type='file'><source file='/${n}'/>`).join('');
    const xml = `<domain><devices><disk>${chain}${'</backingStore>'.repeat(900)}</disk></devices></domain>`;
    expect(readReferences(xml).references.map(({ value }) => value)).to.deep.equal(
      Array.from({ length: 900 }, (_, n) => `/${n}`),
    );
  });

  it('keeps JSON that is nested 100,000 deep as text', () => {
    const json = `${'{"file":'.repeat(100_000)}{"filename":"/a"}${'}'.repeat(100_000)}`;
    const xml = `<volume><backingStore><path>json:${json}</path></backingStore></volume>`;
    expect(readReferences(xml).references).to.deep.equal([
      { kind: 'text', value: `json:${json}`, evidence: '/volume/backingStore/path' },
    ]);
  });
});
