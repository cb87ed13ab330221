import { expect } from 'chai';
import { explainNoMatch } from '../../../src/core/filter-hints.ts';
import { parseFilter } from '../../../src/core/filter.ts';

const RELEASES = ['focal', 'jammy', 'noble'];
const ITEMS = RELEASES.flatMap((release) =>
  ['amd64', 'arm64'].map((arch) => ({ release, arch, os: 'ubuntu', version_name: `2024${release.length}${arch}` })),
);
const MANY = Array.from({ length: 20 }, (_, index) => ({ version_name: `v${index}` }));

function explain(texts: readonly string[], items: readonly Record<string, string>[] = ITEMS): string | undefined {
  return explainNoMatch(
    texts.map((text) => parseFilter(text)),
    items,
  );
}

describe('explainNoMatch', () => {
  for (const [filter, hint] of [
    ['relase=noble', "'relase=noble': nothing has a key 'relase'; did you mean 'release'?"],
    ['colour=red', "'colour=red': nothing has a key 'colour'; see 'poolkeeper catalog --fields'"],
    ['release=nobel', "'release=nobel': did you mean release=noble?"],
    ['release=warty', "'release=warty': release is one of focal, jammy, noble"],
    ['os=debian', "'os=debian': os is always ubuntu"],
    ['arch==amd64', "'arch==amd64': write arch=amd64 with one '='"],
    ['arch=~amd64', "'arch=~amd64': write arch~amd64 for a regular expression"],
    ['release~^x', "'release~^x': release is one of focal, jammy, noble"],
  ] as const)
    it(`explains ${filter}`, () => expect(explain([filter, 'os=ubuntu'])).to.equal(hint.replace('os=ubuntu', '')));

  it('explains every filter that matches nothing, and no other', () => {
    expect(explain(['arch=amd64', 'relase=noble', 'release=nobel'])).to.equal(
      "'relase=noble': nothing has a key 'relase'; did you mean 'release'?; 'release=nobel': did you mean release=noble?",
    );
  });
  it('says where long lists of values are to be found', () => {
    expect(explain(['version_name=20240101'], MANY)).to.equal(
      "'version_name=20240101': 'poolkeeper catalog --values version_name' lists what there is",
    );
  });
  it('says when filters match only apart', () => {
    const items = [
      { release: 'noble', arch: 'amd64' },
      { release: 'jammy', arch: 'arm64' },
    ];
    expect(explain(['release=noble', 'arch=arm64'], items)).to.equal(
      'each filter matches something, but nothing matches all of them',
    );
  });
  it('takes filters that leave everything out for meant', () => {
    expect(explain(['os!=ubuntu'])).to.equal(undefined);
    expect(explain(['os!~u', 'relase=noble'])).to.match(/^'relase=noble': nothing has a key/);
  });
  it('says nothing when there is nothing to compare with', () => {
    expect(explain(['release=noble'], [])).to.equal(undefined);
  });
});
