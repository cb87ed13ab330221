import { expect } from 'chai';
import { decodeVolumeName, encodeVolumeName } from '../../../src/core/identity.ts';
import { checkLocalName, isLocalImage, localIdentity, localName } from '../../../src/core/local-image.ts';
import { UsageError } from '../../../src/errors.ts';

const LONGEST = 'g'.repeat(100);

describe('local images', () => {
  it('have a product and a version that make a name for a volume of every pool', () => {
    for (const name of ['golden', 'db-1.2+b_3', LONGEST]) {
      const identity = localIdentity(name, '2026-11-25T20:15:00.123Z');
      expect(identity).to.deep.equal({ product: `local:${name}`, version: '20261125T201500Z' });
      for (const type of ['dir', 'netfs'])
        expect(decodeVolumeName(encodeVolumeName(identity, type))).to.deep.equal(identity);
    }
  });

  it('are told from those of a source', () => {
    const [own, foreign] = [
      localIdentity('golden', '2026-11-25T20:15:00Z'),
      { product: 'com.ubuntu.cloud', version: '1' },
    ];
    expect([own, foreign].map(isLocalImage)).to.deep.equal([true, false]);
    expect([own, foreign].map(localName)).to.deep.equal(['golden', undefined]);
  });

  for (const name of ['', '.hidden', '-x', 'a b', 'a/b', 'a\nb', 'ä', `${LONGEST}g`]) {
    it(`cannot be called ${JSON.stringify(name.slice(0, 20))}`, () => {
      expect(() => checkLocalName(name)).to.throw(UsageError, 'cannot be the name of an image');
    });
  }
});
