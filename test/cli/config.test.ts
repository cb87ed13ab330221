import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { compiledProgram } from '../support/compiled-program.ts';
import { type Run, runProgram } from '../support/world.ts';

const execute = promisify(execFile);
const EXAMPLE = new URL('../../../packaging/config.yaml', import.meta.url);

const GOOD = `pool: images
retention:
  keep-versions: 3
sources:
  ubuntu:
    url: https://me:secret@images.test/releases/
    keyring: ubuntu
    filters: [release~^(jammy|noble)$, arch=amd64]
`;

describe('the configuration', () => {
  let dir: string;
  let path: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'pk-config-'));
    path = join(dir, 'config.yaml');
  });
  after(() => rm(dir, { recursive: true }));

  /** Lines of standard error without the program's name, and with the directory left out. */
  const said = ({ stderr }: Run): readonly string[] =>
    stderr.replaceAll(`${dir}/`, '').replaceAll('poolkeeper: ', '').split('\n').slice(0, -1);
  const run = (...args: readonly string[]): Promise<Run> => runProgram(args, dir);

  it('is checked for everything that is wrong in it', async () => {
    await writeFile(path, 'pool: a\npool: b\nretension:\n  grace: 1h\njobs: 99\n');
    const checked = await run('config', 'check', 'config.yaml');
    expect([checked.status, checked.stdout]).to.deep.equal([2, '']);
    expect(said(checked)).to.deep.equal([
      'error: config.yaml:2:1: a key stands here for a second time',
      'hint: remove one of the two',
      "error: config.yaml:3:1: unknown key 'retension'",
      "hint: did you mean 'retention'?",
      "error: config.yaml:5:7: 'jobs' must be a whole number from 1 to 16",
      'hint: write it in digits, such as 1, or leave it out to have the default',
      'error: 3 mistake(s) in config.yaml',
    ]);
  });

  it('stops every command that goes by it, at the first mistake', async () => {
    await writeFile(path, 'pool: a\nretension:\n  grace: 1h\njobs: 99\n');
    for (const command of [['query'], ['sync'], ['keyring', 'list'], ['lease', 'list'], ['config', 'show']]) {
      const stopped = await run(...command, '--config', path);
      expect([stopped.status, stopped.stdout], command.join(' ')).to.deep.equal([2, '']);
      expect(said(stopped)).to.deep.equal([
        "error: config.yaml:2:1: unknown key 'retension'",
        "hint: did you mean 'retention'?; 'poolkeeper config check' lists 1 more",
      ]);
    }
  });

  it('is said to be sound when it is, and that there is none when there is none', async () => {
    await writeFile(path, GOOD);
    expect(await run('config', 'check', path)).to.deep.equal({ status: 0, stdout: `${path} is sound\n`, stderr: '' });
    expect(await run('config', 'check', '--quiet', path)).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    expect(await run('config', 'check')).to.deep.equal({
      status: 0,
      stdout: 'there is no configuration; the defaults count\n',
      stderr: '',
    });
  });

  it('is sound, with a warning, when a keyring is not there yet', async () => {
    await writeFile(path, 'sources:\n  own:\n    url: /srv/own\n    keyring: /nowhere.gpg\n');
    const checked = await run('config', 'check', path);
    expect([checked.status, checked.stdout]).to.deep.equal([0, `${path} is sound\n`]);
    expect(said(checked)).to.deep.equal([
      "warning: config.yaml:4: the keyring of source 'own' does not exist: '/nowhere.gpg'",
    ]);
  });

  it('is shown with the origin of every value, and without passwords', async () => {
    await writeFile(path, GOOD);
    const env = { POOLKEEPER_CONFIG: path, POOLKEEPER_STATE_DIR: '/srv/state' };
    const { status, stdout, stderr } = await runProgram(['config', 'show', '--connect', 'test:///default'], dir, env);
    expect([status, stderr]).to.deep.equal([0, '']);
    expect(stdout.replaceAll(path, 'FILE').replaceAll(/ +#/g, '  #').split('\n')).to.deep.equal([
      'connect: test:///default  # command line',
      'pool: images  # FILE:1',
      'state-dir: /srv/state  # POOLKEEPER_STATE_DIR',
      `cache-dir: ${process.geteuid?.() === 0 ? '/var/cache' : `${dir}/.cache`}/poolkeeper  # default`,
      'metadata-dir:  # default',
      'jobs: 2  # default',
      'reserve: 0  # default',
      'retries: 4  # default',
      'stall-timeout: 60s  # default',
      'retention.keep-versions: 3  # FILE:3',
      'retention.grace: 2h  # default',
      'retention.min-age: 2h  # default',
      'retention.unused-for:  # default',
      'retention.max-size:  # default',
      'retention.gone: keep  # default',
      'retention.trash-for: 7d  # default',
      'retention.trash-min-free: 10  # default',
      'permissions.owner:  # default',
      'permissions.group:  # default',
      'permissions.mode:  # default',
      'sources.ubuntu.url: https://images.test/releases/  # FILE:6',
      'sources.ubuntu.keyring: ubuntu  # FILE:7',
      'sources.ubuntu.filters: [release~^(jammy|noble)$, arch=amd64]  # FILE:8',
      '',
    ]);
  });

  it('is shown as one JSON object for each setting', async () => {
    await writeFile(path, 'pool: images\n');
    const { stdout } = await run('config', 'show', '--json', '--config', path);
    const [first, second] = stdout.split('\n');
    expect([JSON.parse(first ?? ''), JSON.parse(second ?? '')]).to.deep.equal([
      { message_type: 'setting', key: 'connect', value: null, origin: { kind: 'default' } },
      { message_type: 'setting', key: 'pool', value: 'images', origin: { kind: 'file', file: path, line: 1 } },
    ]);
  });

  it('is refused when it was named and is not there, or when a stranger could have written it', async () => {
    const missing = await run('query', '--config', join(dir, 'none.yaml'));
    expect([missing.status, ...said(missing)]).to.deep.equal([
      2,
      "error: configuration 'none.yaml' does not exist",
      'hint: check --config and POOLKEEPER_CONFIG, or leave them out to use the default',
    ]);
    await writeFile(path, GOOD);
    await chmod(path, 0o666);
    const open = await run('query', '--config', path);
    await chmod(path, 0o644);
    expect([open.status, ...said(open)]).to.deep.equal([
      15,
      "error: cannot use configuration 'config.yaml': every user may write to it",
      "hint: look at what is in it, then run: chmod o-w 'config.yaml'",
    ]);
  });

  it('costs nothing where there is none: what reads it is not loaded', async () => {
    await writeFile(path, 'pool: images\n');
    for (const [file, isLoaded] of [
      ['/dev/null', false],
      [path, true],
    ] as const) {
      const coverage = await mkdtemp(join(dir, 'coverage-'));
      const env = { PATH: process.env['PATH'], HOME: dir, NODE_V8_COVERAGE: coverage };
      await execute(process.execPath, compiledProgram(['keyring', 'list', '--config', file]), { cwd: dir, env });
      const [name = ''] = await readdir(coverage);
      const scripts = await readFile(join(coverage, name), 'utf8');
      expect([scripts.includes('/src/cli.js'), scripts.includes('/node_modules/yaml/')]).to.deep.equal([
        true,
        isLoaded,
      ]);
    }
  });

  it('that is shipped is sound with every line taken in, and says the defaults', async () => {
    const text = await readFile(EXAMPLE, 'utf8');
    expect(text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).to.deep.equal([]);
    await writeFile(path, text.replaceAll(/^#(?! \S)/gm, ''));
    expect(await run('config', 'check', path)).to.include({ status: 0, stdout: `${path} is sound\n` });
    const valuesOf = async (...args: readonly string[]): Promise<ReadonlyMap<string, string>> => {
      const { stdout } = await run('config', 'show', ...args);
      return new Map(
        stdout
          .split('\n')
          .filter((line) => /^[a-z]/.test(line) && !line.startsWith('sources.') && !line.startsWith('storage.'))
          .map((line) => [line.split(':')[0] ?? '', line.replace(/ +#.*/, '')]),
      );
    };
    const [shipped, usual] = [await valuesOf('--config', path), await valuesOf()];
    const differing = [...shipped].filter(([key, line]) => usual.get(key) !== line).map(([key]) => key);
    const ofRoot = ['state-dir', 'cache-dir'].filter(() => process.geteuid?.() !== 0);
    expect(differing).to.deep.equal([
      'connect',
      ...ofRoot,
      'metadata-dir',
      'retention.unused-for',
      'retention.max-size',
      'permissions.owner',
      'permissions.group',
      'permissions.mode',
    ]);
  });
});
