import { expect } from 'chai';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { runInTerminal } from '../support/terminal.ts';
import { dateless, type Run, World } from '../support/world.ts';

const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';
const JAMMY = 'com.ubuntu.cloud:server:22.04:amd64';

describe('poolkeeper purge', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());

  beforeEach(async () => {
    await world.reset();
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240301')]);
    await world.sync();
  });

  const nothing: Run = { status: 0, stdout: '', stderr: '' };

  it('asks before it does anything, and cannot ask without a terminal', async () => {
    const tree = await world.tree();
    expect(await world.poolkeeper('purge')).to.deep.equal({
      status: 1,
      stdout: '',
      stderr: [
        "poolkeeper: error: cannot ask whether to purge storage pool 'uvtool'",
        'poolkeeper: hint: without a terminal, confirm with --yes',
        '',
      ].join('\n'),
    });
    const images = Object.keys(tree).filter((path) => !path.includes('/state'));
    const after = await world.tree();
    expect(images.map((path) => after[path])).to.deep.equal(images.map((path) => tree[path]));
  });

  for (const [answer, left] of [
    ['n', 2],
    ['y', 0],
  ] as const) {
    it(`leaves ${left} images when the answer is '${answer}'`, async () => {
      const { output } = await runInTerminal(['purge', ...world.options], [['Proceed [N] Yes/No: ', answer]]);
      const screen = stripVTControlCharacters(output);
      expect(screen).to.include("all images of pool 'uvtool' leave the offer; 2 of them are deleted");
      expect(screen).to.include('Proceed [N] Yes/No: ');
      if (left > 0) expect(screen).to.include('poolkeeper: error: nothing was purged');
      expect(await world.volumes()).to.have.lengthOf(left);
      expect(await readdir(world.metadata)).to.have.lengthOf(left);
    });
  }

  it('deletes all images with --yes, and nothing else', async () => {
    await writeFile(join(world.poolPath, 'foreign.img'), 'mine');
    await writeFile(join(world.metadata, 'README'), 'mine');
    const run = dateless(await world.poolkeeper('purge', '--yes'));
    expect([run.status, run.stderr]).to.deep.equal([0, '']);
    expect(run.stdout.split('\n').sort()).to.deep.equal([
      '',
      `deleted image ${JAMMY} 20240301 (1.3 MiB freed on DATE)`,
      `deleted image ${NOBLE} 20240423 (1.3 MiB freed on DATE)`,
    ]);
    expect(await world.volumes()).to.deep.equal(['foreign.img']);
    expect(await readdir(world.metadata)).to.deep.equal(['README']);
    expect(await world.poolkeeper('query')).to.deep.equal(nothing);
    expect(await world.poolkeeper('purge', '--yes')).to.deep.equal(nothing);
    expect((await world.sync()).status).to.equal(0);
    expect(await world.volumes()).to.have.lengthOf(3);
  });

  it('removes metadata without a volume too', async () => {
    await world.libvirtd.virsh('vol-delete', world.volumeName('noble', '20240423'), '--pool', 'uvtool');
    expect((await world.poolkeeper('purge', '--yes')).status).to.equal(0);
    expect(await readdir(world.metadata)).to.deep.equal([]);
  });

  it('keeps images in use, says what uses them, and takes them out of the offer', async () => {
    await world.define('web1', { pool: 'uvtool', volume: world.volumeName('noble', '20240423') });
    const run = dateless(await world.poolkeeper('purge', '--yes'));
    expect(run).to.deep.equal({
      status: 16,
      stdout: `deleted image ${JAMMY} 20240301 (1.3 MiB freed on DATE)\n`,
      stderr: [
        'poolkeeper: error: 1 image(s) are in use and stay until nothing needs them:',
        `  image ${NOBLE} 20240423: needed by domain web1`,
        "poolkeeper: hint: 'poolkeeper why VOLUME' shows what needs one; --force-in-use deletes them all the same",
        '',
      ].join('\n'),
    });
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20240423')]);
    expect(await readdir(world.metadata)).to.deep.equal([]);
    const warning = `poolkeeper: warning: image ${NOBLE} 20240423 is not spared by --force-in-use: needed by domain web1\n`;
    const forced = ['purge', '--yes', '--force-in-use'];
    expect(await world.poolkeeper(...forced, '--dry-run')).to.deep.include({ status: 0, stderr: warning });
    expect(await world.volumes()).to.have.lengthOf(1);
    expect(await world.poolkeeper(...forced)).to.deep.include({ status: 0, stderr: warning });
    expect(await world.volumes()).to.deep.equal([]);
  });

  it('deletes nothing while something cannot be seen, unless forced', async () => {
    await world.define('web1', { path: join(world.root, 'unmounted/web1.qcow2') });
    const run = dateless(await world.poolkeeper('purge', '--yes'));
    expect(run.status).to.equal(13);
    expect(run.stderr).to.match(/^poolkeeper: error: did not delete 2 unused volume\(s\), because/);
    expect(await world.volumes()).to.have.lengthOf(2);
    expect((await world.poolkeeper('purge', '--yes', '--force-in-use')).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([]);
  });

  it('shows with --dry-run what would go, and what would stay', async () => {
    await world.define('web1', { pool: 'uvtool', volume: world.volumeName('noble', '20240423') });
    const tree = await world.tree();
    const run = await world.poolkeeper('purge', '--dry-run');
    // It ends as the real run would.
    expect(run.status).to.equal(16);
    expect(run.stdout).to.equal(
      [
        `would delete image ${JAMMY} 20240301 (1.3 MiB)`,
        `keep image ${NOBLE} 20240423: needed by domain web1`,
        '',
      ].join('\n'),
    );
    expect(run.stderr).to.include(`1 image(s) are in use`).and.include('needed by domain web1');
    expect(await world.tree()).to.deep.equal(tree);
  });

  it('leaves images alone that no source has, and those that a domain writes to, and says so', async () => {
    const own = await world.image('golden');
    expect((await world.poolkeeper('import', own, '--name', 'golden')).status).to.equal(0);
    expect((await world.poolkeeper('persistent', 'release=jammy')).status).to.equal(0);
    const run = dateless(await world.poolkeeper('purge', '--yes'));
    expect([run.status, run.stderr]).to.deep.equal([0, '']);
    expect(
      run.stdout
        .replaceAll(/\d{8}T\d{6}Z/g, 'TIME')
        .split('\n')
        .toSorted(),
    ).to.deep.equal([
      '',
      `deleted image ${NOBLE} 20240423 (1.3 MiB freed on DATE)`,
      `left 2 image(s) alone that no source has; 'poolkeeper delete' deletes one`,
    ]);
    expect(await world.volumes()).to.have.lengthOf(2);
    expect((await world.poolkeeper('path', 'golden')).status).to.equal(0);
  });

  it('does not touch the images of another pool', async () => {
    const target = await world.libvirtd.poolDir('second');
    await world.libvirtd.virsh('pool-define-as', 'second', 'dir', '--target', target);
    await world.libvirtd.virsh('pool-start', 'second');
    await mkdir(join(world.root, 'second'), { recursive: true });
    const second = ['--pool', 'second', '--metadata-dir', join(world.root, 'second')];
    expect((await world.poolkeeper('purge', '--yes', ...second)).status).to.equal(0);
    expect(await world.volumes()).to.have.lengthOf(2);
  });
});
