import { expect } from 'chai';
import { PROMISES } from '../../absence/ids.ts';
import { complaintsAbout, idsOf, printMarkdown, printTable, tableOf, type TestResult } from '../../support/id-table.ts';

const TWO = [
  { id: 'A1', meaning: 'first', isDue: true },
  { id: 'E1', meaning: 'second', isDue: false },
];
const passed = (title: string): TestResult => ({ title, state: 'passed' });

describe('the table of promises and tests', () => {
  it('has each id once, in the order of the letters and numbers', () => {
    const ids = PROMISES.map(({ id }) => id);
    const key = (id: string): string => `${id[0]}${id.slice(1).padStart(2, '0')}`;
    expect(ids).to.deep.equal([...new Set(ids)].sort((a, b) => (key(a) < key(b) ? -1 : 1)));
  });

  it('finds ids in the brackets of a title, alone and together, and nothing else', () => {
    expect(idsOf('keeps it [D4]')).to.deep.equal([{ id: 'D4', isTwin: false }]);
    expect(idsOf('goes [D4 twin]')).to.deep.equal([{ id: 'D4', isTwin: true }]);
    expect(idsOf('the suite [C1] a test [D1 e, D10 twin]').map(({ id }) => id)).to.deep.equal(['C1', 'D1', 'D10']);
    expect(idsOf('takes [FILE], [A100], [a1] and D4')).to.deep.equal([]);
  });

  it('complains of a due promise without a test, also when only a twin names it', () => {
    const complain = (results: readonly TestResult[]) =>
      complaintsAbout(tableOf(TWO, results), results, { mayRun: true });
    expect(complain([])).to.deep.equal(['A1: no test names it (first)']);
    expect(complain([passed('goes [A1 twin]')])).to.deep.equal(['A1: no test names it (first)']);
    expect(complain([passed('stays [A1]')])).to.deep.equal([]);
    expect(complain([passed('stays [A1]'), passed('x [D3]')])).to.deep.equal([
      'D3: nothing of that name is promised, but a test names it: x [D3]',
    ]);
  });

  it('complains of tests and twins that failed, and of skipped ones where they could have run', () => {
    const results: TestResult[] = [
      passed('stays [A1]'),
      { title: 'goes [A1 twin]', state: 'failed' },
      { title: 'notes [E1]', state: 'pending' },
    ];
    const complain = (mayRun: boolean) => complaintsAbout(tableOf(TWO, results), results, { mayRun });
    expect(complain(true)).to.deep.equal(['A1: failed: goes [A1 twin]', 'E1: skipped: notes [E1]']);
    expect(complain(false)).to.deep.equal(['A1: failed: goes [A1 twin]']);
  });

  it('prints id, test, twin and result', () => {
    const table = tableOf(TWO, [passed('stays [A1]'), passed('goes [A1 twin]')]);
    expect(printTable(table).split('\n')).to.deep.equal([
      'A1   passed   first',
      '     ✓ test  stays [A1]',
      '     ✓ twin  goes [A1 twin]',
      'E1   later    second',
      '',
    ]);
    expect(printMarkdown(table)).to.include('| A1 | stays [A1] | goes [A1 twin] | passed |');
  });
});
