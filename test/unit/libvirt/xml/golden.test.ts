import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { readReferences } from '../../../../src/libvirt/xml/references.ts';

const TESTDATA = new URL('../../../../../testdata/', import.meta.url);

describe('readReferences on the documents in testdata', () => {
  for (const folder of ['domain', 'volume']) {
    const directory = new URL(`${folder}/`, TESTDATA);
    for (const file of readdirSync(directory).filter((name) => name.endsWith('.xml'))) {
      it(`finds each reference of ${folder}/${file} and nothing else`, () => {
        const found = readReferences(readFileSync(new URL(file, directory), 'utf8'));
        const golden = new URL(file.replace(/xml$/, 'json'), directory);
        const text = `${JSON.stringify(found, undefined, 2)}\n`;
        if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, text);
        expect(text).to.equal(readFileSync(golden, 'utf8'));
      });
    }
  }
});
