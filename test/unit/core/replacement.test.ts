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

type Case = readonly [title: string, left: LeftVolume, overlay: string, copy: string];

/** What is there, under a file that is known to be the one that was made, or where nothing is known of files. */
const OWN: readonly Case[] = [
  ['nothing at all', 'missing', 'redo', 'redo'],
  ['nothing but zeros', 'blank', 'redo', 'redo'],
  ['data without a header', 'headless', 'foreign', 'redo'],
  ['something that is no image', 'no image', 'foreign', 'foreign'],
  ['an empty overlay on the source', left('/s', true), 'finished', 'untouched'],
  ['an overlay on the source that was written to', left('/s', false), 'finished', 'untouched'],
  ['an overlay on the source of another size, without data', left('/s', true, 0n), 'redo', 'untouched'],
  ['an overlay on something else, with data', left('/p', false), 'untouched', 'untouched'],
  ['an overlay on something else, without data', left('/p', true), 'redo', 'untouched'],
  ['an image that stands on nothing, with data', left(undefined, false), 'untouched', 'finished'],
  ['an image that stands on nothing, without data', left(undefined, true), 'redo', 'finished'],
];

/** The same under another file, which somebody may have put there since. */
const OTHER: readonly Case[] = [
  ['nothing but zeros', 'blank', 'redo', 'redo'],
  ['data without a header', 'headless', 'foreign', 'foreign'],
  ['something that is no image', 'no image', 'foreign', 'foreign'],
  ['an overlay on the source', left('/s', false), 'finished', 'foreign'],
  ['an overlay on something else, without data', left('/p', true), 'foreign', 'foreign'],
  ['an image that stands on nothing, with data', left(undefined, false), 'foreign', 'foreign'],
];

const ALL: readonly LeftVolume[] = ['blank', 'headless', 'no image', ...OWN.slice(4).map(([, found]) => found)];

describe('resumption', () => {
  for (const [title, found, overlay, copy] of OWN) {
    it(`goes on rightly when a crash left ${title} in a file of its own [E9 twin]`, () => {
      for (const file of ['made', 'untold'] as const) {
        expect(resumption(found, file, PLAN, '/s')).to.equal(overlay);
        expect(resumption(found, file, { ...PLAN, content: 'copy' }, '/s')).to.equal(copy);
      }
    });
  }

  for (const [title, found, overlay, copy] of OTHER) {
    it(`does not touch ${title} in a file that somebody put there since [E9]`, () => {
      expect(resumption(found, 'other', PLAN, '/s')).to.equal(overlay);
      expect(resumption(found, 'other', { ...PLAN, content: 'copy' }, '/s')).to.equal(copy);
    });
  }

  it('calls off what had not begun, whatever was written to the file since [E9]', () => {
    for (const content of ['overlay', 'copy'] as const)
      for (const found of ALL) expect(resumption(found, 'before', { ...PLAN, content }, '/s')).to.equal('untouched');
  });

  it('makes nothing anew that has data of its own', () => {
    for (const backing of [undefined, '/s', '/p'])
      for (const content of ['overlay', 'copy'] as const)
        for (const file of ['before', 'made', 'other', 'untold'] as const)
          expect(resumption(left(backing, false), file, { ...PLAN, content }, '/s')).not.to.equal('redo');
  });
});
