import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { LibvirtError } from '../../../src/errors.ts';
import { elementsAt, escapeXml, parseFully, parsePlain, parseXml, textAt } from '../../../src/libvirt/xml-text.ts';
import { mutated } from '../../fuzz/mutation.ts';

describe('xml-text', () => {
  it('reads texts and attributes by path', () => {
    const pool = parseXml("<pool type='dir'><target a='x'><path>/srv</path></target></pool>", 'pool');
    expect([
      textAt(pool, '@type'),
      textAt(pool, 'target', 'path'),
      textAt(pool, 'target', '@a'),
      textAt(pool, 'target', 'absent'),
      textAt(pool, 'absent', '@a'),
    ]).to.deep.equal(['dir', '/srv', 'x', undefined, undefined]);
  });

  it('lists elements that repeat', () => {
    const pool = parseXml("<pool><source><device path='/a'/><device path='/b'/></source></pool>", 'pool');
    expect(elementsAt(pool, 'source', 'device').map((device) => textAt(device, '@path'))).to.deep.equal(['/a', '/b']);
    expect(elementsAt(parseXml('<pool/>', 'pool'), 'source', 'device')).to.deep.equal([]);
  });

  it('decodes the standard entities once and no other', () => {
    const volume = parseXml('<volume><name>&lt;&amp;amp;&#65;&#x42;&quot;&apos;&nbsp;&evil;</name></volume>', 'volume');
    expect(textAt(volume, 'name')).to.equal('<&amp;AB"\'&nbsp;&evil;');
  });

  it('does not resolve entities that a document declares', () => {
    const xml = '<!DOCTYPE v [<!ENTITY evil "expanded">]><volume><name>&evil;</name></volume>';
    expect(textAt(parseXml(xml, 'volume'), 'name')).to.equal('&evil;');
  });

  it('keeps blanks at the ends of a name', () => {
    expect(textAt(parseXml('<volume><name> a\nb </name></volume>', 'volume'), 'name')).to.equal(' a\nb ');
  });

  it('refuses what is not the document it should be', () => {
    for (const xml of ['', 'no xml', '<volume><name></volume>', '<pool/>', '<volume>']) {
      expect(() => parseXml(xml, 'volume'), xml).to.throw(LibvirtError, 'cannot parse the XML of a volume');
    }
  });

  it('reads back every text that it escapes', () => {
    const printable = fc.string({ unit: 'grapheme' });
    fc.assert(
      fc.property(printable, (text) => {
        const xml = `<v a='${escapeXml(text)}'><t>x${escapeXml(text)}</t></v>`;
        const element = parseXml(xml, 'v');
        expect([textAt(element, '@a'), textAt(element, 't')]).to.deep.equal([text, `x${text}`]);
      }),
    );
  });
});

describe('parsePlain', () => {
  const TESTDATA = new URL('../../../../testdata/volume/', import.meta.url);
  const SAMPLES = readdirSync(TESTDATA)
    .filter((name) => name.endsWith('.xml'))
    .map((name) => readFileSync(new URL(name, TESTDATA), 'utf8'));
  const TOKENS = [
    '<b/>',
    '<b>',
    '</b>',
    '<b c="1"/>',
    '&amp;',
    '<',
    '>',
    "'",
    '"',
    ' ',
    '\n',
    '<__proto__/>',
    '<a:b/>',
  ];

  it('reads documents of volumes and pools', () => {
    expect(SAMPLES.filter((xml) => parsePlain(xml) === undefined)).to.deep.equal([]);
  });

  it('gives what the parser for all of XML gives, or nothing', () => {
    for (const xml of SAMPLES) assertSame(xml);
    const inputs = mutated({ seeds: SAMPLES, tokens: TOKENS });
    const runs = { numRuns: Number(process.env['PLAIN_XML_RUNS'] ?? 2000) };
    fc.assert(
      fc.property(inputs, (bytes) => assertSame(bytes.toString())),
      runs,
    );
  });

  function assertSame(xml: string): void {
    const plain = parsePlain(xml);
    if (plain !== undefined) expect(JSON.stringify(sorted(plain))).to.equal(JSON.stringify(sorted(parseFully(xml))));
  }

  /** An element without attributes and children may come as its text alone. */
  function sorted(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value === 'string') return [['#text', value]];
    const entries = Object.entries(value ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return entries.map(([name, child]) => [name, /^[#@]/.test(name) ? child : sorted(child)]);
  }
});
