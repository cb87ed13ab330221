import { expect } from 'chai';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type GpgHome, type GpgKey, openGpgHome } from '../support/gpg.ts';
import { type Run, runProgram } from '../support/world.ts';

const PINNED = '4A3CE3CD565D7EB5C810E2B97FF3F408476CF100';

describe('poolkeeper keyring', () => {
  let gpg: GpgHome;
  let ours: GpgKey;
  let theirs: GpgKey;
  let root: string;

  before(async () => {
    gpg = await openGpgHome();
    [ours, theirs] = [
      await gpg.createKey({ userId: 'Ours' }),
      await gpg.createKey({ userId: 'Theirs', expire: '2099-01-01' }),
    ];
  });
  after(() => gpg.close());

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'pk-keyring-'));
    await writeFile(join(root, 'binary.gpg'), await gpg.exportKeys([ours]));
    await writeFile(join(root, 'armored.asc'), await gpg.exportKeys([theirs], { armor: true }));
    await writeFile(join(root, 'both.gpg'), await gpg.exportKeys([ours, theirs]));
  });
  afterEach(() => rm(root, { recursive: true }));

  const run = (...args: readonly string[]): Promise<Run> =>
    runProgram(['keyring', ...args, '--state-dir', join(root, 'state')], root);

  /** What is in poolkeeper's own keyring: fingerprints and when they expire. */
  async function listed(): Promise<readonly string[]> {
    const { status, stdout, stderr } = await run('list');
    expect([status, stderr]).to.deep.equal([0, '']);
    return stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.replace(/ {2}.* {2}/, ' ')]));
  }

  const never = (key: GpgKey): string => `${key.fingerprint} never expires`;

  it('lists nothing before a key was added', async () => {
    expect(await run('list')).to.deep.equal({ status: 0, stdout: '', stderr: '' });
  });

  it('adds binary and armored keys, shows what it added, and lists them', async () => {
    const added = await run('add', 'binary.gpg', '--fingerprint', ours.fingerprint);
    expect([added.status, added.stderr]).to.deep.equal([0, '']);
    expect(added.stdout).to.match(new RegExp(`^${ours.fingerprint}  Ours .*  never expires\n$`));
    expect((await run('add', 'armored.asc', '--fingerprint', theirs.fingerprint)).status).to.equal(0);
    expect(await listed()).to.deep.equal([never(ours), `${theirs.fingerprint} expires 2099-01-01`]);
    expect((await stat(join(root, 'state/keyring.asc'))).mode & 0o777).to.equal(0o644);
  });

  it('adds only the one key of a file that was named', async () => {
    expect((await run('add', 'both.gpg', '--fingerprint', ours.fingerprint)).status).to.equal(0);
    expect(await listed()).to.deep.equal([never(ours)]);
  });

  it('changes nothing when a key is added twice', async () => {
    const add = (): Promise<Run> => run('add', 'binary.gpg', '--fingerprint', ours.fingerprint);
    const first = await add();
    const bytes = await readFile(join(root, 'state/keyring.asc'), 'utf8');
    expect(await add()).to.deep.equal(first);
    expect(await readFile(join(root, 'state/keyring.asc'), 'utf8')).to.equal(bytes);
  });

  it('reads a fingerprint as gpg and people write it', async () => {
    const spaced = ours.fingerprint.toLowerCase().replaceAll(/(.{4})/g, '$1 ');
    expect((await run('add', 'binary.gpg', '--fingerprint', spaced)).status).to.equal(0);
    expect((await run('add', 'binary.gpg', '--fingerprint', `0x${ours.fingerprint}`)).status).to.equal(0);
    expect(await listed()).to.deep.equal([never(ours)]);
  });

  describe('refuses', () => {
    const rows: readonly (readonly [string, () => readonly string[], number, () => readonly string[]])[] = [
      [
        'a key with another fingerprint',
        () => ['add', 'binary.gpg', '--fingerprint', theirs.fingerprint],
        12,
        () => [
          `error: 'binary.gpg' does not hold the key ${theirs.fingerprint}`,
          `hint: it holds ${ours.fingerprint}; if the publisher confirms one of them, give it with --fingerprint`,
        ],
      ],
      [
        'a key that is not pinned when no fingerprint is given',
        () => ['add', 'binary.gpg'],
        12,
        () => [
          `error: 'binary.gpg' does not hold the key ${PINNED}`,
          `hint: it holds ${ours.fingerprint}; if the publisher confirms one of them, give it with --fingerprint`,
        ],
      ],
      [
        "a key that is not Ubuntu's under Ubuntu's name",
        () => ['add', 'binary.gpg', '--name', 'ubuntu'],
        12,
        () => [
          `error: 'binary.gpg' does not hold the key ${PINNED}`,
          `hint: it holds ${ours.fingerprint}; if the publisher confirms one of them, give it with --fingerprint`,
        ],
      ],
      [
        'a short key id',
        () => ['add', 'binary.gpg', '--fingerprint', ours.fingerprint.slice(-16)],
        2,
        () => [
          `error: '${ours.fingerprint.slice(-16)}' is not a whole fingerprint`,
          'hint: it has 40 or 64 hexadecimal digits',
        ],
      ],
      [
        'a name that it does not know',
        () => ['add', 'binary.gpg', '--name', 'debian'],
        2,
        () => ['error: option name cannot be "debian", only "ubuntu"', 'hint: see poolkeeper keyring --help'],
      ],
      [
        'name and fingerprint together',
        () => ['add', 'binary.gpg', '--name', 'ubuntu', '--fingerprint', ours.fingerprint],
        2,
        () => ['error: arguments fingerprint and name are mutually exclusive', 'hint: see poolkeeper keyring --help'],
      ],
      [
        'a file that is not there',
        () => ['add', 'nowhere.gpg'],
        1,
        () => ["error: cannot read key file 'nowhere.gpg'", 'hint: check that it exists and that you may read it'],
      ],
      [
        'a key over plain http',
        () => ['add', 'http://127.0.0.1:1/key.asc'],
        2,
        () => [
          "error: 'http://127.0.0.1:1/key.asc' is not an https address",
          'hint: keys are fetched through https, or read from a file',
        ],
      ],
      [
        'what is no key',
        () => ['add', '/etc/hostname'],
        12,
        () => [
          "error: cannot use '/etc/hostname': the keyring holds no key",
          'hint: write it with gpg --export FINGERPRINT',
        ],
      ],
      [
        'to work without a command',
        () => [],
        2,
        () => ['error: name a keyring command: add or list', 'hint: see poolkeeper keyring --help'],
      ],
    ];
    for (const [what, args, status, lines] of rows) {
      it(what, async () => {
        expect(await run(...args())).to.deep.equal({ status, stdout: '', stderr: talk(lines()) });
        expect(await readdir(root)).not.to.include('state');
      });
    }

    it('a secret key', async () => {
      await writeFile(join(root, 'secret.gpg'), await gpg.exportSecretKey(ours));
      const { status, stderr } = await run('add', 'secret.gpg', '--fingerprint', ours.fingerprint);
      expect(status).to.equal(12);
      expect(stderr).to.equal(
        talk([
          "error: cannot use 'secret.gpg': the keyring holds a secret key",
          'hint: write it with gpg --export FINGERPRINT',
        ]),
      );
      expect(await readdir(root)).not.to.include('state');
    });
  });
});

function talk(lines: readonly string[]): string {
  return lines.map((line) => (line.startsWith(' ') ? `${line}\n` : `poolkeeper: ${line}\n`)).join('');
}
