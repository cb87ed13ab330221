import { expect } from 'chai';
import { array, assert, integer, nat, property, record, string } from 'fast-check';
import stringWidth from 'string-width';
import { createReporter } from '../../../src/report/reporter.ts';
import { surfaceOf } from '../../../src/report/surface.ts';
import { type Column, renderTable, shorten, shortenMiddle, showTable } from '../../../src/report/table.ts';

interface Fruit {
  readonly name: string;
  readonly place: string;
  readonly count: number;
}

const COLUMNS: readonly Column<Fruit>[] = [
  { title: 'NAME', text: ({ name }) => name, shrinksTo: 6 },
  { title: 'PLACE', text: ({ place }) => place, shrinksTo: 5, isOptional: true },
  {
    title: 'COUNT',
    text: ({ count }) => String(count),
    isRightAligned: true,
    style: ({ count }) => (count === 0 ? 'red' : undefined),
  },
];

const APPLE = { name: 'apple', place: 'orchard', count: 12 };
const BANANA = { name: 'banana from the far south', place: 'greenhouse number one', count: 0 };

function rendered(rows: readonly Fruit[], columns: number | undefined): string {
  return renderTable({ columns: COLUMNS, rows }, { columns, paint: (_style, text) => text });
}

describe('a table', () => {
  it('is aligned and whole where there is no terminal', () => {
    expect(rendered([APPLE, BANANA], undefined)).to.equal(
      [
        'NAME                       PLACE                  COUNT',
        'apple                      orchard                   12',
        'banana from the far south  greenhouse number one      0',
        '',
      ].join('\n'),
    );
  });

  it('shortens its widest columns until it fits', () => {
    expect(rendered([APPLE, BANANA], 40)).to.equal(
      [
        'NAME             PLACE            COUNT',
        'apple            orchard             12',
        'banana from th…  greenhouse num…      0',
        '',
      ].join('\n'),
    );
  });

  it('keeps the end of what is told apart by it', () => {
    const columns = [{ title: 'NAME', text: (name: string) => name, shrinksTo: 8, keepsEnd: true }];
    const rows = ['com.ubuntu.cloud:server:24.04:amd64', 'com.ubuntu.cloud:server:22.04:amd64', 'short'];
    expect(renderTable({ columns, rows }, { columns: 22, paint: (_style, text) => text })).to.equal(
      'NAME\ncom.ubu…er:24.04:amd64\ncom.ubu…er:22.04:amd64\nshort\n',
    );
    expect(shortenMiddle('東京の林檎と梨', 8)).to.equal('東…と梨');
  });

  it('drops an optional column only when shortening does not suffice', () => {
    expect(rendered([BANANA], 20)).to.equal('NAME    PLACE  COUNT\nbanan…  gree…      0\n');
    expect(rendered([BANANA], 19)).to.equal('NAME          COUNT\nbanana from…      0\n');
  });

  it('stays legible on a terminal that is too narrow for it', () => {
    expect(rendered([BANANA], 5)).to.equal('NAME    COUNT\nbanan…      0\n');
  });

  it('never is wider than the terminal, nor ends in blanks, whatever the names are', () => {
    const text = string({ unit: 'grapheme', maxLength: 60 });
    const rows = array(record({ name: text, place: text, count: nat() }), { minLength: 1 });
    assert(
      property(rows, integer({ min: 24, max: 120 }), (fruits, columns) => {
        const lines = rendered(fruits, columns).slice(0, -1).split('\n');
        expect(lines).to.have.lengthOf(fruits.length + 1);
        for (const line of lines) expect(stringWidth(line)).to.be.at.most(columns);
      }),
    );
  });

  it('lets no name steer the terminal, break its line or turn the direction of writing', () => {
    const name = 'a\u001b[2Jb\nc\u202ed\ud800';
    const text = rendered([{ ...APPLE, name }], undefined);
    expect(text.split('\n')[1]).to.equal('a\\x1b[2Jb\\x0ac\\u202ed\ufffd  orchard     12');
  });

  it('counts wide characters as two columns, and never cuts through one', () => {
    const lines = rendered([{ ...APPLE, name: '東京の林檎' }, APPLE], 29).split('\n');
    expect(lines.slice(1, 3)).to.deep.equal(['東京の林檎  orchard     12', 'apple       orchard     12']);
    expect(shorten('東京の林檎', 6)).to.equal('東京…');
    expect(shorten('👩‍👩‍👧👩‍👩‍👧', 3)).to.equal('👩‍👩‍👧…');
  });
});

function shown(
  rows: readonly Fruit[],
  { json = false, isTTY = false, env = {} }: { json?: boolean; isTTY?: boolean; env?: Record<string, string> },
): string {
  let output = '';
  const stdout = { write: (text: string) => (output += text), isTTY, columns: 80 };
  const reporter = createReporter({ stdout, stderr: stdout, json, quiet: true, verbose: false, env, isJournal: false });
  const fields = ({ name, count }: Fruit) => ({ name, count, huge: 2n ** 60n });
  showTable({ messageType: 'fruit', columns: COLUMNS, rows, fields }, reporter);
  return output;
}

describe('showing a table', () => {
  it('prints an object for each row with --json, and no titles', () => {
    expect(shown([APPLE, BANANA], { json: true, isTTY: true })).to.equal(
      '{"message_type":"fruit","name":"apple","count":12,"huge":"1152921504606846976"}\n' +
        '{"message_type":"fruit","name":"banana from the far south","count":0,"huge":"1152921504606846976"}\n',
    );
  });

  it('prints nothing when there are no rows', () => {
    expect(shown([], {}) + shown([], { json: true })).to.equal('');
  });

  for (const [title, options, hasColours] of [
    ['on a terminal', { isTTY: true }, true],
    ['on a terminal with an empty NO_COLOR', { isTTY: true, env: { NO_COLOR: '' } }, true],
    ['with NO_COLOR', { isTTY: true, env: { NO_COLOR: '1' } }, false],
    ['on a dumb terminal', { isTTY: true, env: { TERM: 'dumb' } }, false],
    ['in a pipe', { isTTY: false }, false],
  ] as const) {
    it(`${hasColours ? 'has' : 'has no'} colours ${title}`, () => {
      const text = shown([BANANA], options);
      expect(text.includes('\u001b[31m0\u001b[39m')).to.equal(hasColours);
      expect(text.includes('\u001b')).to.equal(hasColours);
    });
  }

  it('takes 80 columns for a terminal that does not say how wide it is', () => {
    expect(surfaceOf({ write: () => undefined, isTTY: true }, {}).columns).to.equal(80);
  });
});
