import { expect } from 'chai';
import { identityText } from '../../../src/core/identity.ts';
import { type HeldImage, massRemoval } from '../../../src/core/mass-removal.ts';

const UBUNTU = 'https://cloud-images.test/releases/';
const DEBIAN = 'https://debian.test/';

function image(product: string, version: string, more: Partial<HeldImage> = {}): HeldImage {
  return { identity: { product, version }, source: UBUNTU, isOffered: false, ...more };
}

function ids(...images: readonly HeldImage[]): ReadonlySet<string> {
  return new Set(images.map(({ identity }) => identityText(identity)));
}

const offered = image('noble', '2', { isOffered: true });
const old = image('noble', '1');
const older = image('noble', '0');

describe('massRemoval', () => {
  it('has no objection when nothing goes, even from an empty pool', () => {
    expect(massRemoval([], new Set())).to.equal(undefined);
    expect(massRemoval([offered], new Set())).to.equal(undefined);
  });

  it('lets the version go that a newer one replaced', () => {
    expect(massRemoval([offered, old], ids(old))).to.equal(undefined);
  });

  it('objects to the loss of more than half of all images', () => {
    expect(massRemoval([offered, old, older], ids(old, older))).to.equal(
      'it would delete 2 of the 3 images in the pool',
    );
    expect(massRemoval([old], ids(old))).to.equal('it would delete 1 of the 1 images in the pool');
  });

  const debian = image('debian', '1', { source: DEBIAN });

  it('objects to the loss of all that a source brought', () => {
    expect(massRemoval([offered, old, debian], ids(debian))).to.equal(
      `it would delete everything that ${DEBIAN} offered`,
    );
  });

  it('lets everything of a source go when another one offers the same products now', () => {
    const replaced = image('noble', '0', { source: DEBIAN });
    expect(massRemoval([offered, old, replaced], ids(replaced))).to.equal(undefined);
  });

  it('cannot speak for a source that is not known', () => {
    const stray = image('stray', '1', { source: undefined });
    expect(massRemoval([offered, old, stray], ids(stray))).to.equal(undefined);
  });

  it('sees the loss of a source behind that of an image of unknown source', () => {
    const stray = image('stray', '1', { source: undefined });
    const rest = [offered, old, older];
    expect(massRemoval([stray, debian, ...rest], ids(stray, debian))).to.equal(
      `it would delete everything that ${DEBIAN} offered`,
    );
  });
});
