import { expect } from 'chai';
import { type LeftVolume, type Replacement, resumption } from '../../../src/core/replacement.ts';

const PLAN: Replacement = {
  volumeName: 'v',
  sourceName: 's',
  content: 'overlay',
  virtualSizeBytes: 4096n,
  permissions: undefined,
};
const left = (backingFile: string | undefined, isEmpty: boolean, virtualSizeBytes = 4096n): LeftVolume => ({
  backingFile,
  isEmpty,
  virtualSizeBytes,
});

const CASES: readonly (readonly [title: string, left: LeftVolume, overlay: string, copy: string])[] = [
  ['nothing at all', 'missing', 'redo', 'redo'],
  ['no image', 'no image', 'redo', 'redo'],
  ['an empty overlay on the source', left('/s', true), 'finished', 'untouched'],
  ['an overlay on the source that was written to', left('/s', false), 'finished', 'untouched'],
  ['an overlay on the source of another size, without data', left('/s', true, 0n), 'redo', 'untouched'],
  ['an overlay on something else, with data', left('/p', false), 'untouched', 'untouched'],
  ['an overlay on something else, without data', left('/p', true), 'redo', 'untouched'],
  ['an image that stands on nothing, with data', left(undefined, false), 'untouched', 'finished'],
  ['an image that stands on nothing, without data', left(undefined, true), 'redo', 'finished'],
];

describe('resumption', () => {
  for (const [title, found, overlay, copy] of CASES) {
    it(`goes on rightly when a crash left ${title}`, () => {
      expect(resumption(found, PLAN, '/s')).to.equal(overlay);
      expect(resumption(found, { ...PLAN, content: 'copy' }, '/s')).to.equal(copy);
    });
  }

  it('makes nothing anew that has data of its own', () => {
    for (const backing of [undefined, '/s', '/p'])
      for (const content of ['overlay', 'copy'] as const)
        expect(resumption(left(backing, false), { ...PLAN, content }, '/s')).not.to.equal('redo');
  });
});
