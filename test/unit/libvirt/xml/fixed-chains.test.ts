import { expect } from 'chai';
import { readDocument } from '../../../../src/libvirt/xml/references.ts';

const DOCUMENTS: readonly (readonly [title: string, disk: string, fixed: readonly string[]])[] = [
  ['names only an image', "<source file='/a'/>", []],
  ['ends the chain at the image', "<source file='/a'/><backingStore/>", ['/a']],
  [
    'spells the chain out',
    "<source file='/a'/><backingStore type='file'><source file='/b'/><backingStore/></backingStore>",
    ['/a'],
  ],
  ['does so for a volume', "<source pool='p' volume='a'/><backingStore/>", ['a']],
];

describe('readDocument, of a domain whose disk', () => {
  for (const [title, inner, fixed] of DOCUMENTS) {
    it(`${title}, says whether libvirt goes by the document`, () => {
      const { fixedChains } = readDocument(`<domain><devices><disk type='file'>${inner}</disk></devices></domain>`);
      expect([...fixedChains]).to.deep.equal(fixed);
    });
  }
});
