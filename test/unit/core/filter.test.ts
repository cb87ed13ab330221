import { expect } from 'chai';
import { filterHint, type FlatItem, matchesAll, parseFilter } from '../../../src/core/filter.ts';
import { UsageError } from '../../../src/errors.ts';

const ITEM: FlatItem = {
  arch: 'amd64',
  release: 'noble',
  n: '5',
  supported: 'True',
  empty: '',
  ftype: 'disk1.img',
  key: 'x=y',
  text: 'one\ntwo',
  slashed: 'a\\Ab',
};

/** The truth table of facts/simplestreams.md, section 2. */
const TABLE: readonly (readonly [filter: string, matches: boolean])[] = [
  ['arch=amd64', true],
  ['arch = amd64', true],
  ['arch= amd64', true],
  ['arch =amd64', true],
  ['arch=amd64 ', false],
  ['arch=amd', false],
  ['arch=AMD64', false],
  ['arch!=i386', true],
  ['arch!=amd64', false],
  ['arch~amd', true],
  ['arch~md', true],
  ['arch~^amd64$', true],
  ['arch~(amd64|arm64)', true],
  ['arch!~amd', false],
  ['arch!~i386', true],
  ['ftype~disk1.img', true],
  ['nokey=', true],
  ['nokey!=', false],
  ['nokey=x', false],
  ['nokey!=x', true],
  ['nokey~', true],
  ['nokey!~', false],
  ['nokey~x', false],
  ['nokey!~x', true],
  ['empty=', true],
  ['empty!=', false],
  ['arch==amd64', false],
  ['arch=~amd64', false],
  ['arch~=amd64', false],
  ['supported=True', true],
  ['supported=true', false],
  ['n=5', true],
  ['arch=amd64,arm64', false],
  ['key=x=y', true],
  // Python's dialect of regular expressions.
  ['arch~(?i)AMD', true],
  ['arch!~(?i)AMD', false],
  ['arch~\\Aamd64\\Z', true],
  ['arch~\\Amd', false],
  ['arch~(?P<letters>[a-z]+)64', true],
  ['text~^two', false],
  ['text~(?m)^two', true],
  ['text~(?m)\\Atwo', false],
  ['text~(?m)one\\Z', false],
  ['text~(?s)one.two', true],
  ['text~(?ms)one.^two', true],
  ['text~one.two', false],
  ['slashed~\\\\Ab', true],
  ['arch~\\(?P<', false],
  // A tag is never looked up among the properties of every object.
  ['constructor=', true],
  ['toString!=', false],
];

const NO_FILTERS = [' arch=amd64', 'arch!amd64', 'arch', '=x', '', 'arch!!=x', 'arch>x', 'a.b=c'];

describe('parseFilter', () => {
  for (const [text, matches] of TABLE) {
    it(`(14) ${matches ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
      expect(parseFilter(text).matches(ITEM)).to.equal(matches);
    });
  }

  for (const text of NO_FILTERS) {
    it(`(14) refuses ${JSON.stringify(text)} as no filter`, () => {
      expect(() => parseFilter(text))
        .to.throw(UsageError, `'${text}' is not a filter`)
        .with.property('hint', 'write KEY=VALUE, KEY!=VALUE, KEY~REGEX or KEY!~REGEX');
    });
  }

  for (const text of ['arch~[', 'arch!~(', 'arch~(?x)a b', 'arch~a++(', 'arch~(?P=name)', 'arch~\\Ba\\C']) {
    it(`(14) refuses the regular expression of ${JSON.stringify(text)} at once`, () => {
      expect(() => parseFilter(text)).to.throw(UsageError, `the regular expression in filter '${text}' cannot be used`);
    });
  }

  it('keeps key and text as the user wrote them', () => {
    const { text, key } = parseFilter('größe-2|x_y = 1');
    expect({ text, key }).to.deep.equal({ text: 'größe-2|x_y = 1', key: 'größe-2|x_y' });
  });

  it('gives the same answer every time it is asked', () => {
    const filter = parseFilter('arch~amd');
    expect([1, 2, 3].map(() => filter.matches(ITEM))).to.deep.equal([true, true, true]);
  });
});

describe('matchesAll', () => {
  it('is satisfied by everything when there is no filter', () => {
    expect(matchesAll(ITEM, [])).to.equal(true);
  });

  it('wants every filter to match', () => {
    expect(
      matchesAll(
        ITEM,
        ['arch=amd64', 'release=noble'].map((text) => parseFilter(text)),
      ),
    ).to.equal(true);
    expect(
      matchesAll(
        ITEM,
        ['arch=amd64', 'release=jammy'].map((text) => parseFilter(text)),
      ),
    ).to.equal(false);
  });
});

describe('filterHint', () => {
  for (const [text, hint] of [
    ['arch==amd64', "'arch==amd64': write arch=amd64 with one '='"],
    ['arch=~amd64', "'arch=~amd64': write arch~amd64 for a regular expression"],
    ['arch~=amd64', "'arch~=amd64': write arch~amd64 for a regular expression"],
    ['supported=true', "'supported=true': write supported=True"],
    ['supported=false', "'supported=false': write supported=False"],
    ['supported=True', undefined],
    ['arch=amd64', undefined],
    ['arch~amd64', undefined],
    ['arch!=amd64', undefined],
    ['nonsense', undefined],
  ] as const) {
    it(`says ${hint === undefined ? 'nothing' : 'what was meant'} about '${text}'`, () => {
      expect(filterHint(text)).to.equal(hint);
    });
  }
});
