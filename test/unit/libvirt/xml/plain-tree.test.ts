import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { parseFully } from '../../../../src/libvirt/xml/document.ts';
import { isElement, type XmlElement, type XmlNode } from '../../../../src/libvirt/xml/node.ts';
import { parsePlainTree } from '../../../../src/libvirt/xml/plain-tree.ts';
import { mutated } from '../../../fuzz/mutation.ts';

const TESTDATA = new URL('../../../../../testdata/', import.meta.url);
const FOLDERS = ['domain', 'volume'];
const SAMPLES = FOLDERS.flatMap((folder) => {
  const directory = new URL(`${folder}/`, TESTDATA);
  const names = readdirSync(directory).filter((name) => name.endsWith('.xml'));
  return names.map((name) => [`${folder}/${name}`, readFileSync(new URL(name, directory), 'utf8')] as const);
});
const TOKENS = [
  '<',
  '>',
  '/>',
  '</',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '<?x?>',
  '<!DOCTYPE a>',
  '&',
  '&amp;',
  '&#10;',
  '&x;',
  ';',
  "'",
  '"',
  '=',
  " a='1'",
  ' xmlns="u"',
  ' xmlns:q="u"',
  ' xmlns:q=""',
  ' q:a="1"',
  '<q:b/>',
  '<b/>',
  '<b>',
  '</b>',
  ' xml:a="1"',
  '<xml:b/>',
  ' xmlns:xml="u"',
  '\t',
  '\r',
  '\n',
  ' ',
  '\uFFFD',
  '\uFFFE',
  '\u2028',
  'ä',
  ':',
  '<a:b:c/>',
  '-',
];

describe('plain tree', () => {
  it('is what documents of libvirt nearly always are', () => {
    const others = SAMPLES.filter(([, xml]) => parsePlainTree(xml) === undefined).map(([name]) => name);
    expect(others).to.deep.equal(OTHERS);
  });

  for (const [name, xml] of SAMPLES) {
    it(`is of ${name} what the parser for all of XML makes of it`, () => {
      assertSame(xml);
    });
  }

  it('is never made of a document that the parser for all of XML refuses, nor is it ever another one', () => {
    const material = { seeds: SAMPLES.map(([, xml]) => xml), tokens: TOKENS };
    const runs = { numRuns: Number(process.env['PLAIN_XML_RUNS'] ?? 3000) };
    fc.assert(
      fc.property(mutated(material), (bytes) => assertSame(bytes.toString())),
      runs,
    );
  });

  it('is never another one for small documents of odd parts', () => {
    const parts = fc.array(fc.constantFrom(...TOKENS, 'a', '<a>', '</a>', '<a/>'), { maxLength: 12 });
    fc.assert(
      fc.property(parts, (words) => assertSame(`<a>${words.join('')}</a>`)),
      { numRuns: Number(process.env['PLAIN_XML_RUNS'] ?? 3000) },
    );
  });
});

/** Those of the samples that are more than plain. */
const OTHERS = ['domain/newline-in-name.xml', 'domain/status.xml'];

function assertSame(xml: string): void {
  const plain = parsePlainTree(xml);
  if (plain !== undefined) expect(describeTree(plain)).to.deep.equal(describeTree(parseFully(xml)));
}

/** Everything that is ever asked of a tree. */
function describeTree(element: XmlElement): unknown {
  const attributes = Array.from({ length: element.attributes.length }, (_, index) => {
    const attribute = element.attributes.item(index);
    expect(attribute === element.attributes.getNamedItem(attribute?.name ?? '')).to.equal(true);
    return [attribute?.name, attribute?.localName, attribute?.value, element.getAttribute(attribute?.name ?? '')];
  });
  const children: XmlNode[] = [];
  for (let node = element.firstChild; node !== null; node = node.nextSibling) {
    expect(node.previousSibling === (children.at(-1) ?? null) && node.parentNode === element).to.equal(true);
    children.push(node);
  }
  expect(element.lastChild === (children.at(-1) ?? null)).to.equal(true);
  return {
    name: [element.nodeName, element.localName, element.parentElement?.nodeName, element.parentNode?.nodeName],
    attributes,
    text: element.textContent,
    children: children.map((node) => (isElement(node) ? describeTree(node) : [node.nodeType, node.nodeValue])),
  };
}
