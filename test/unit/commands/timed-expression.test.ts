import { expect } from 'chai';
import { timedExpression } from '../../../src/commands/timed-expression.ts';
import { parseFilter } from '../../../src/core/filter.ts';
import { UsageError } from '../../../src/errors.ts';

describe('timedExpression', () => {
  for (const [pattern, value] of [
    ['^(a+)+$', `${'a'.repeat(60)}!`],
    ['^(a|aa)+$', `${'a'.repeat(60)}!`],
    ['^(.*?,){30}x', ','.repeat(3000)],
    ['(x+x+)+y', 'x'.repeat(60_000)],
  ] as const) {
    it(`ends ${pattern} on a value that was made up against it`, () => {
      const filter = parseFilter(`release~${pattern}`, timedExpression);
      const since = performance.now();
      expect(() => filter.matches({ release: value }))
        .to.throw(UsageError, /^the regular expression '.*' takes too long on ".{1,63}"$/u)
        .with.property('hint');
      expect(performance.now() - since).to.be.below(5000);
    });
  }

  it('finds what a plain expression finds', () => {
    const found = (value: string): boolean => timedExpression('^(trusty|noble)$', 'u').test(value);
    expect(['noble', 'noblesse', 'trusty', 'noble'].map(found)).to.deep.equal([true, false, true, true]);
  });

  it('refuses what is no expression', () => {
    expect(() => parseFilter('release~(', timedExpression)).to.throw(UsageError, 'cannot be used');
  });
});
