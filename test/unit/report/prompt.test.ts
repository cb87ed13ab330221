import { expect } from 'chai';
import { PassThrough } from 'node:stream';
import { InterruptedError } from '../../../src/errors.ts';
import { ask, confirm } from '../../../src/report/prompt.ts';
import { rejection } from '../../support/rejection.ts';

function terminal(...input: readonly string[]) {
  const stdin = new PassThrough();
  for (const text of input) stdin.write(text);
  stdin.end();
  const shown: string[] = [];
  return { stdin, shown, stderr: { write: (text: string) => shown.push(text) } };
}

const never = new AbortController().signal;

describe('confirm', () => {
  for (const [typed, isYes] of [
    ['y\n', true],
    ['Y\n', true],
    ['yes\n', true],
    ['  YES  \n', true],
    ['yes', true],
    ['yes\r\n', true],
    ['n\n', false],
    ['no\n', false],
    ['\n', false],
    ['', false],
    ['yes please\n', false],
    ['yy\n', false],
    ['maybe\nyes\n', false],
  ] as const) {
    it(`takes ${JSON.stringify(typed)} for ${isYes ? 'yes' : 'no'}`, async () => {
      const screen = terminal(typed);
      expect(await confirm('Proceed', screen, never)).to.equal(isYes);
      expect(screen.shown).to.deep.equal(['Proceed [N] Yes/No: ']);
    });
  }
});

describe('ask', () => {
  it('asks on standard error and returns the first line', async () => {
    const screen = terminal('first\n', 'second\n');
    expect(await ask('Which? ', screen, never)).to.equal('first');
    expect(screen.shown).to.deep.equal(['Which? ']);
  });

  it('stops waiting when the program is stopped', async () => {
    const stop = new AbortController();
    const reason = new InterruptedError('stopped by SIGINT');
    const screen = { stdin: new PassThrough(), stderr: { write: () => true } };
    const answer = ask('Which? ', screen, stop.signal);
    stop.abort(reason);
    expect(await rejection(answer)).to.equal(reason);
  });

  it('does not even ask when the program was stopped before', async () => {
    const reason = new InterruptedError('stopped by SIGINT');
    expect(await rejection(ask('Which? ', terminal('y\n'), AbortSignal.abort(reason)))).to.equal(reason);
  });
});
