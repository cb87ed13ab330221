import { expect } from 'chai';
import { LibvirtError, SourceError, UsageError } from '../../../src/errors.ts';
import { createReporter, type Reporter } from '../../../src/report/reporter.ts';

/** What a reporter prints on both streams. */
function printed(
  use: (reporter: Reporter) => void,
  options: { json?: boolean; quiet?: boolean; verbose?: boolean; isJournal?: boolean } = {},
) {
  const out: string[] = [];
  const err: string[] = [];
  const reporter = createReporter({
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    json: false,
    quiet: false,
    verbose: false,
    env: {},
    isJournal: false,
    ...options,
  });
  use(reporter);
  return { stdout: out.join(''), stderr: err.join('') };
}

describe('a reporter', () => {
  for (const [weight, options, isShown] of [
    ['detail', {}, false],
    ['detail', { verbose: true }, true],
    ['detail', { verbose: true, quiet: true }, true],
    ['info', {}, true],
    ['info', { quiet: true }, false],
    ['change', {}, true],
    ['change', { quiet: true }, true],
  ] as const) {
    it(`${isShown ? 'shows' : 'hides'} ${weight} with ${JSON.stringify(options)}`, () => {
      const text = printed((reporter) => reporter.event(weight, 'text', 'type', { a: 1 }), options);
      expect(text).to.deep.equal({ stdout: isShown ? 'text\n' : '', stderr: '' });
      const json = printed((reporter) => reporter.event(weight, 'text', 'type', { a: 1 }), { ...options, json: true });
      expect(json).to.deep.equal({ stdout: isShown ? '{"message_type":"type","a":1}\n' : '', stderr: '' });
    });
  }

  it('prints data even when it is quiet', () => {
    expect(printed((reporter) => reporter.data('line', 'image', {}), { quiet: true }).stdout).to.equal('line\n');
  });

  it('talks on standard error, and adds the hint on a line of its own', () => {
    expect(
      printed((reporter) => {
        reporter.warning('odd', 'look');
        reporter.warning('odd');
        reporter.error(new UsageError('wrong', { hint: 'write it so' }));
      }),
    ).to.deep.equal({
      stdout: '',
      stderr:
        'poolkeeper: warning: odd\npoolkeeper: hint: look\npoolkeeper: warning: odd\n' +
        'poolkeeper: error: wrong\npoolkeeper: hint: write it so\n',
    });
  });

  it('adds what known causes say, unless the message says it already', () => {
    const cause = new LibvirtError('the daemon is gone');
    const middle = new SourceError('no answer: the daemon is gone', { cause });
    const say = (error: unknown): string => printed((reporter) => reporter.error(error)).stderr;
    expect(say(new UsageError('failed', { cause }))).to.equal('poolkeeper: error: failed: the daemon is gone\n');
    expect(say(new UsageError('failed', { cause: middle }))).to.equal(
      'poolkeeper: error: failed: no answer: the daemon is gone\n',
    );
    expect(say(new UsageError('failed', { cause: new Error('inner detail') }))).to.equal('poolkeeper: error: failed\n');
  });

  it('keeps the stack of a bug, and asks to report it', () => {
    const bug = new TypeError('x is not a function');
    expect(printed((reporter) => reporter.error(bug)).stderr).to.equal(
      `poolkeeper: error: this is a bug in poolkeeper, please report it\n${bug.stack ?? ''}\n`,
    );
  });

  it('says everything as JSON on standard output, errors too', () => {
    const { stdout, stderr } = printed(
      (reporter) => {
        reporter.data('line', 'image', { big: 5n, huge: 2n ** 60n });
        reporter.warning('odd', 'look');
        reporter.error(new UsageError('wrong'));
        reporter.error(new TypeError('x'));
      },
      { json: true },
    );
    expect(stderr).to.equal('');
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).to.deep.equal([
      { message_type: 'image', big: 5, huge: '1152921504606846976' },
      { message_type: 'warning', message: 'odd', hint: 'look' },
      { message_type: 'error', message: 'wrong', code: 'POOLKEEPER_USAGE', exit_status: 2 },
      { message_type: 'error', message: 'TypeError: x', code: 'POOLKEEPER_BUG', exit_status: 1 },
    ]);
  });

  it('gives every line its priority in the journal', () => {
    const { stderr } = printed(
      (reporter) => {
        reporter.warning('odd');
        reporter.error(new UsageError('failed:\n  one\n  two', { hint: 'look' }));
      },
      { isJournal: true },
    );
    expect(stderr).to.equal(
      '<4>poolkeeper: warning: odd\n' +
        '<3>poolkeeper: error: failed:\n<3>  one\n<3>  two\n<3>poolkeeper: hint: look\n',
    );
  });

  it('never lets a name steer the terminal', () => {
    const name = 'a\u001b[2J\rb\u0007\u009bc\td';
    const { stdout, stderr } = printed((reporter) => {
      reporter.data(name, 'image', {});
      reporter.warning(name, name);
    });
    expect(stdout).to.equal('a\\x1b[2J\\x0db\\x07\\x9bc\\x09d\n');
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    expect(stderr).not.to.match(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });
});
