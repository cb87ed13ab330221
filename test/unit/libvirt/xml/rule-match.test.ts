import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse } from 'xpath';
import { parseDocument } from '../../../../src/libvirt/xml/document.ts';
import { DOCUMENT_RULES } from '../../../../src/libvirt/xml/document-rules.ts';
import { readReferences } from '../../../../src/libvirt/xml/references.ts';
import type { XmlNode } from '../../../../src/libvirt/xml/node.ts';
import type { Rule } from '../../../../src/libvirt/xml/rule.ts';
import { matchRules } from '../../../../src/libvirt/xml/rule-match.ts';

const TESTDATA = new URL('../../../../../testdata/', import.meta.url);

describe('matchRules', () => {
  for (const folder of ['domain', 'volume']) {
    const directory = new URL(`${folder}/`, TESTDATA);
    for (const file of readdirSync(directory).filter((name) => name.endsWith('.xml'))) {
      it(`selects in ${folder}/${file} what plain XPath selects`, () => {
        const xml = readFileSync(new URL(file, directory), 'utf8');
        const document = parseDocument(xml);
        const { kind } = readReferences(xml);
        const expected = new Map<XmlNode, Rule>();
        for (const rule of DOCUMENT_RULES[kind]) {
          const options = { node: document.root, allowAnyNamespaceForNoPrefix: true };
          for (const node of parse(rule.xpath).evaluateNodeSet(options).toUnsortedArray()) expected.set(node, rule);
        }
        const places = matchRules(kind, document);
        expect(describePlaces(places)).to.deep.equal(describePlaces(expected));
        expect([...places.keys()].every((node) => expected.has(node))).to.equal(true);
      });
    }
  }
});

function describePlaces(places: ReadonlyMap<XmlNode, Rule>): readonly string[] {
  return [...places]
    .map(([{ nodeName, nodeValue }, rule]) => `${nodeName} ${nodeValue ?? ''} ${rule.xpath}`)
    .toSorted();
}
