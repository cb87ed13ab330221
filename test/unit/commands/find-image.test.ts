import { expect } from 'chai';
import { findImage, type FoundImage } from '../../../src/commands/find-image.ts';
import { NoMatchError, UsageError } from '../../../src/errors.ts';

function image(product: string, version: string, tags: FoundImage['tags'] = {}): FoundImage {
  return {
    volumeName: `x-${product}-${version}`,
    identity: { product, version },
    record: undefined,
    tags,
    isOffered: true,
    hasVolume: true,
    status: 'active',
  };
}

const OLD = image('noble', '1', { release: 'noble', arch: 'amd64', version_name: '1' });
const NEW = image('noble', '2', { release: 'noble', arch: 'amd64', version_name: '2' });
const JAMMY = image('jammy', '1', { release: 'jammy', arch: 'amd64', version_name: '1' });
const IMAGES = [OLD, NEW, JAMMY];

describe('findImage', () => {
  for (const [words, found] of [
    [['x-noble-1'], OLD],
    [['noble 2'], NEW],
    [['noble', '2'], NEW],
    [['noble:1'], OLD],
    [['jammy'], JAMMY],
    [['release=jammy'], JAMMY],
    [['release=noble', 'version_name=1'], OLD],
    [['version_name~2'], NEW],
  ] as const) {
    it(`finds one image by ${words.join(' and ')}`, () => expect(findImage(words, IMAGES)).to.equal(found));
  }

  it('lists all that fit when several do', () => {
    expect(() => findImage(['release=noble'], IMAGES)).to.throw(
      UsageError,
      "'release=noble' may be any of 2 images:\n  noble 1\n  noble 2",
    );
  });

  for (const words of [['plucky'], ['release=plucky'], ['noble', 'arch=amd64'], ['nobel 2']]) {
    it(`finds nothing by ${words.join(' and ')}`, () => {
      expect(() => findImage(words, IMAGES)).to.throw(NoMatchError);
    });
  }
});
