import { expect } from 'chai';
import { checkNewImage, type NewImageArguments } from '../../../src/commands/new-image.ts';
import { UsageError } from '../../../src/errors.ts';

const check = (given: Partial<NewImageArguments>) => () =>
  checkNewImage({ name: 'golden', tag: [], displayName: undefined, ...given } as NewImageArguments);

describe('an image of the administrator', () => {
  it('may have tags of its own and a name for people', () => {
    check({ tag: ['release=golden', 'größe=groß', 'note=', 'a=b=c'], displayName: 'Golden image, 2nd' })();
  });

  for (const [title, given, message] of [
    ['a name that no image can have', { name: 'a b' }, `'a b' cannot be the name of an image`],
    ['a tag without a value', { tag: ['release'] }, `'release' is not a tag`],
    ['a tag in two lines', { tag: ['note=a\nb'] }, `'note=a\nb' is not a tag`],
    ['a tag that follows from the image', { tag: ['sha256=0'] }, `tag 'sha256' cannot be given`],
    ['a tag of our own', { tag: ['x_poolkeeper_type=os'] }, `tag 'x_poolkeeper_type' cannot be given`],
    ['a name in two lines', { displayName: 'a\nb' }, '--display-name must be one line'],
    ['a name like a book', { displayName: 'a'.repeat(201) }, '--display-name must be one line'],
  ] as const)
    it(`cannot have ${title}`, () => {
      expect(check(given)).to.throw(UsageError, message);
    });
});
