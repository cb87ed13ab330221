import { expect } from 'chai';
import { EventEmitter, once } from 'node:events';

import { LiveArea } from '../../../src/report/live-area.ts';
import { screenOf } from '../../support/screen.ts';

/** A terminal that remembers what it was sent. */
function terminal() {
  const sent = new EventEmitter();
  let text = '';
  const sink = {
    isTTY: true,
    columns: 80,
    write: (more: string) => {
      text += more;
      sent.emit('text');
    },
  };
  /** The lines on the screen, as soon as they are as expected. */
  const until = async (isExpected: (lines: readonly string[]) => boolean): Promise<readonly string[]> => {
    for (;;) {
      const lines = await screenOf(text.replaceAll('\n', '\r\n'));
      if (isExpected(lines)) return lines;
      await once(sent, 'text');
    }
  };
  return { sink, until, text: () => text };
}

describe('the live lines of a terminal', () => {
  it('are one for each piece of work, stay below all other text, and are gone in the end', async () => {
    const { sink, until } = terminal();
    const area = new LiveArea(sink);
    const [one, two] = [area.start('one', 1000n), area.start('two')];
    one.reach(500n);
    const both = await until((lines) => lines.some((line) => line.startsWith('two')));
    expect(both).to.have.lengthOf(2);
    expect(both[0]).to.match(/^one {2}\[#{8}-{8}\] {2}50% /);
    expect(both[1]).to.match(/^two {2}[|/\\-] {2}\d+s$/);
    area.printAbove(() => sink.write('first\n'));
    area.printAbove(() => sink.write(`second ${'long '.repeat(20)}end\nthird\n`));
    const below = await until((lines) => lines.length === 6);
    expect(below.slice(0, 4)).to.deep.equal([
      'first',
      `second ${'long '.repeat(20)}`.slice(0, 80),
      'g long long long long long end',
      'third',
    ]);
    one.end();
    const last = await until((lines) => !lines.some((line) => line.startsWith('one')));
    expect(last.at(-1)).to.match(/^two/);
    area.printAbove(() => sink.write('fourth\n'));
    two.end();
    area.printAbove(() => sink.write('fifth\n'));
    const lines = await until((all) => all.includes('fifth'));
    expect(lines.slice(3)).to.deep.equal(['third', 'fourth', 'fifth']);
  });

  it('do not appear for work that is soon done', async () => {
    const { sink, text } = terminal();
    const area = new LiveArea(sink);
    area.start('quick').end();
    area.printAbove(() => sink.write('text\n'));
    expect(text()).to.equal('text\n');
  });
});
