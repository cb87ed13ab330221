import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { chmod, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { sha256Of, until } from '../support/aftermath.ts';
import { type Run, UNCOVERED, World } from '../support/world.ts';

const execute = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('../../../bin/poolkeeper.js', import.meta.url));
const OLD = '20240821';
const NEW = '20240901';

describe('poolkeeper run by a user without rights', () => {
  let world: World;
  let home: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await chmod(world.root, 0o755);
    home = await world.libvirtd.poolDir('home');
  });
  after(() => world.stop());

  it('does a whole sync with a libvirt of its own, and keeps its files from others', async () => {
    await world.publish([await world.release('noble', OLD)]);
    expect(await sync()).to.include({ status: 0, stderr: '' });
    await world.publish([await world.release('noble', NEW)]);
    await world.define('web1', { path: world.volumePath('noble', OLD), format: 'qcow2' });
    expect(await sync()).to.include({ status: 0, stderr: '' });
    expect(await world.volumes()).to.have.lengthOf(2);
    await world.libvirtd.virsh('undefine', 'web1');
    // Zero is over at once, whichever clock is ahead.
    await until(async () => (await sync()).status === 0 && (await world.volumes()).length === 1);
    expect(await sha256Of(world.volumePath('noble', NEW))).to.equal(
      await sha256Of(join(world.root, `noble-${NEW}.img`)),
    );
    const query = await asNobody('query', '-c', world.libvirtd.uri);
    expect(query.stdout).to.equal(`release=noble arch=amd64 label=release (${NEW})\n`);

    const modes = [...(await modesBelow(join(home, 'state'))), ...(await modesBelow(join(home, 'cache')))];
    expect(new Set(modes)).to.deep.equal(new Set(['f 640', 'd 750']));
    expect(new Set(await modesBelow(join(home, 'metadata')))).to.deep.equal(new Set(['f 664', 'd 775']));
  });

  it('says what it may not do, and does nothing', async () => {
    const { status, stderr } = await asNobody('sync', '-c', world.libvirtd.uri, '--state-dir', '/var/lib/poolkeeper-x');
    expect(status).to.equal(1);
    expect(stderr).to.match(
      /^poolkeeper: error: cannot create directory '\/var\/lib\/poolkeeper-x': permission denied\n/,
    );
  });

  function sync(): Promise<Run> {
    const source = ['--source', world.server.url, '--keyring', world.keyring, '--grace', '0', '--min-age', '0'];
    return asNobody('sync', '-c', world.libvirtd.uri, ...source, 'arch=amd64');
  }

  async function asNobody(...args: readonly string[]): Promise<Run> {
    const user = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, PROGRAM];
    const env = {
      PATH: process.env['PATH'],
      ...UNCOVERED,
      HOME: home,
      XDG_STATE_HOME: join(home, 'state'),
      XDG_CACHE_HOME: join(home, 'cache'),
      NO_COLOR: '1',
    };
    const words = [...user, ...args, '--metadata-dir', join(home, 'metadata')];
    return execute('setpriv', words, { env, cwd: home }).then(
      ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => ({ ...error, status: error.code }),
    );
  }
});

/** Kind and permissions of everything below, and of the directory itself; the umask of this process does not count. */
async function modesBelow(dir: string): Promise<readonly string[]> {
  const entries = await readdir(dir, { withFileTypes: true, recursive: true });
  const paths = entries
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => !path.endsWith('CACHEDIR.TAG'));
  const own = dir.endsWith('metadata') ? [dir] : [];
  return Promise.all([...own, ...paths].map(modeOf));
}

async function modeOf(path: string): Promise<string> {
  const status = await stat(path);
  return `${status.isDirectory() ? 'd' : 'f'} ${(status.mode & 0o777).toString(8)}`;
}
