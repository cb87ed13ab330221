import { expect } from 'chai';
import * as fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { readVolumeXml, readXml } from '../../../src/gather/image-edges.ts';

const TESTDATA = new URL('../../../../testdata/volume/', import.meta.url);
const DOCUMENTS = readdirSync(TESTDATA).filter((name) => name.endsWith('.xml') && !name.startsWith('pool-'));

/** Pieces of volume XML, some of which name something. */
const PIECES = [
  '<name>/n</name>',
  '<key>/k</key>',
  '<key>k</key>',
  '<source>\n</source>',
  "<source><device path='/dev/sda1'/></source>",
  "<source pool='p' volume='v'/>",
  "<source protocol='rbd' name='a/b'/>",
  '<target><path>/t</path><permissions><label>/label</label></permissions></target>',
  '<target><future>/future</future><path>/t</path></target>',
  '<backingStore><path>relative</path></backingStore>',
  '<future>&#47;entity</future>',
  '<future><![CDATA[/cdata]]></future>',
  '<future><!-- in between -->/comment</future>',
  "<future at='json:{&quot;filename&quot;:&quot;/j&quot;}'/>",
  "<future at='\n /blank'/>",
  '<future>file:/f</future>',
];

describe('readVolumeXml', () => {
  for (const file of DOCUMENTS) {
    it(`sees in ${file} what a full reading sees`, () => {
      const xml = readFileSync(new URL(file, TESTDATA), 'utf8');
      expect(readVolumeXml('x', xml)).to.deep.equal(readXml('x', xml));
    });
  }

  it('never overlooks what a full reading sees', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 5 }), (pieces) => {
        const xml = `<volume type='file'>${pieces.join('')}</volume>`;
        const { references } = readVolumeXml('x', xml);
        expect(references).to.deep.equal(readXml('x', xml).references);
      }),
    );
  });
});
