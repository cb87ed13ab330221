import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { encodeMetadataName } from '../../src/core/identity.ts';
import { type Run, runProgram, World } from '../support/world.ts';

const run = promisify(execFile);

/** A host with an empty pool. */
async function emptyHost(): Promise<World> {
  const world = await World.start();
  await world.createPool();
  return world;
}

describe('directories of poolkeeper', () => {
  let world: World;
  before(async () => {
    world = await emptyHost();
    await world.publishRelease('noble', '20240101');
  });
  beforeEach(async () => {
    for (const dir of ['state', 'cache', 'metadata']) await rm(join(world.root, dir), { recursive: true, force: true });
  });
  after(() => world.stop());

  const sync = (...words: readonly string[]): Promise<Run> => world.sync(...words);

  it('are refused where a pool is, in it and above it, by identity; beside it they serve [F8]', async () => {
    const { poolPath } = world;
    const volume = join(poolPath, 'volume.img');
    await writeFile(volume, 'x');
    const link = join(world.root, 'link');
    await symlink(poolPath, link);
    const refused: readonly (readonly [string, string, string])[] = [
      ['--metadata-dir', poolPath, 'is the directory of'],
      ['--metadata-dir', link, 'is the directory of'],
      ['--state-dir', join(poolPath, 'deep/state'), 'lies in the directory of'],
      ['--cache-dir', join(link, 'cache'), 'lies in the directory of'],
      ['--state-dir', world.libvirtd.root, 'holds the directory of'],
      ['--metadata-dir', '/', 'holds the directory of'],
    ];
    for (const [option, dir, relation] of refused) {
      for (const words of [[], ['--dry-run']]) {
        const { status, stderr } = await sync(option, dir, ...words);
        expect(stderr, `${option} ${dir}`).to.contain(`${relation} storage pool 'uvtool'`);
        expect(status).to.equal(2);
      }
      const doctor = await world.poolkeeper('doctor', option, dir);
      expect(doctor.stdout, `${option} ${dir}`).to.match(/problem {2}directories /);
    }
    expect(await readdir(poolPath)).to.deep.equal(['volume.img']);
    expect(await sync('--metadata-dir', join(world.libvirtd.root, 'beside'))).to.include({ status: 0, stderr: '' });
    await run('rm', ['-r', join(world.libvirtd.root, 'beside'), volume, link]);
  });

  it('may lie in the folder of another pool, which is told, and must not be it [F8]', async () => {
    const wide = await world.libvirtd.poolDir('wide');
    await world.libvirtd.virsh(`pool-define-as wide dir --target ${wide}; pool-start wide`);
    const inside = ['--state-dir', join(wide, 'state')];
    expect(await sync(...inside)).to.include({ status: 0, stderr: '' });
    const doctor = await world.poolkeeper('doctor', ...inside);
    expect(doctor.stdout).to.match(/ok {7}directories .*lies in the directory of storage pool 'wide'.*no harm/);
    expect((await sync('--state-dir', wide)).status).to.equal(2);
    const config = join(world.root, 'config.yaml');
    const check = async (dir: string): Promise<Run> => {
      await writeFile(config, `connect: ${world.libvirtd.uri}\ncache-dir: ${dir}\n`);
      return runProgram(['config', 'check', config], world.root);
    };
    const wrong = await check(wide);
    expect(wrong.status).to.equal(2);
    expect(wrong.stderr).to.contain("cache directory '").and.contain("storage pool 'wide'");
    expect(await check(join(wide, 'state'))).to.include({ status: 0 });
    await world.libvirtd.virsh('pool-destroy wide; pool-undefine wide');
    await rm(wide, { recursive: true });
  });

  it('hold metadata of other pools, which stays; of this one it goes [F8]', async () => {
    const nameOf = (version: string): string => encodeMetadataName({ product: 'com.example:server', version });
    await mkdir(world.metadata);
    const write = async (version: string): Promise<void> => {
      const text = JSON.stringify({ product_name: 'com.example:server', version_name: version });
      await writeFile(join(world.metadata, nameOf(version)), text);
    };
    for (const version of ['1', '2', '3']) await write(version);
    const other = await world.libvirtd.poolDir('other');
    await world.libvirtd.virsh('pool-define-as', 'other', 'dir', '--target', other);
    await world.libvirtd.virsh('pool-start', 'other');
    await writeFile(join(other, nameOf('1')), 'x');
    await world.libvirtd.virsh('pool-refresh', 'other');
    const names = async (): Promise<readonly string[]> => {
      const all = await readdir(world.metadata);
      return ['1', '2', '3'].filter((version) => all.includes(nameOf(version)));
    };
    // A pool that is stopped and empty may be one whose disk is not mounted.
    const away = await world.libvirtd.poolDir('away');
    await world.libvirtd.virsh('pool-define-as', 'away', 'dir', '--target', away);
    const kept = await sync('--verbose');
    expect(kept.stdout + kept.stderr).to.contain("storage pool 'away' cannot be looked through");
    expect(await names()).to.deep.equal(['1', '2', '3']);
    await world.poolkeeper('purge', '--yes');
    expect(await names()).to.deep.equal(['1', '2', '3']);
    // It can be looked through as soon as something lies in it, and has one of the images.
    await writeFile(join(away, nameOf('2')), 'x');
    expect((await sync()).status).to.equal(0);
    expect(await names()).to.deep.equal(['1', '2']);
    for (const pool of ['other', 'away']) {
      await world.libvirtd.virsh('pool-destroy', pool).catch(() => undefined);
      await world.libvirtd.virsh('pool-undefine', pool);
    }
    expect((await sync()).status).to.equal(0);
    expect(await names()).to.deep.equal([]);
  });

  it('keep a damaged file that may be an image, and all else is done [F8]', async () => {
    await mkdir(world.metadata);
    const name = encodeMetadataName({ product: 'com.example:server', version: '9' });
    await writeFile(join(world.metadata, name), Buffer.alloc(70_000));
    const { stderr, status } = await sync();
    expect(stderr).to.contain('70000 bytes, and may be an image');
    expect(status).to.equal(0);
    expect((await stat(join(world.metadata, name))).size).to.equal(70_000);
    await writeFile(join(world.metadata, name), 'damaged');
    await sync();
    expect(await readdir(world.metadata)).to.not.include(name);
  });
});

describe('sync --create-pool', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.start();
    await world.publishRelease('noble', '20240101');
  });
  afterEach(() => world.stop());

  const pools = async (): Promise<string> => world.libvirtd.virsh('pool-list', '--all', '--name');
  const info = async (): Promise<string> => world.libvirtd.virsh('pool-info', 'uvtool');

  it('says in a dry run what it would do, does it, and finds it done', async () => {
    const create = `--create-pool=${world.poolPath}`;
    const dry = await world.sync(create, '--dry-run');
    expect(dry).to.include({ status: 0, stderr: '' });
    expect(dry.stdout)
      .to.contain(`would create storage pool 'uvtool' in '${world.poolPath}'`)
      .and.contain('fetch image');
    expect((await pools()).trim()).to.equal('');
    expect(world.imageRequests()).to.equal(0);
    const real = await world.sync(create);
    expect(real).to.include({ status: 0, stderr: '' });
    expect(real.stdout).to.contain(`created storage pool 'uvtool' in '${world.poolPath}'`);
    expect(await info()).to.match(/Autostart: +yes/);
    expect(await world.volumes()).to.have.lengthOf(1);
    expect(await world.sync(create)).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    const elsewhere = await world.sync('--create-pool=/srv/elsewhere');
    expect(elsewhere.status).to.equal(2);
    expect(elsewhere.stderr).to.contain(`it exists already, and lies in '${world.poolPath}'`);
    // By another name it is the same.
    await symlink(world.poolPath, join(world.root, 'link'));
    expect(await world.sync(`--create-pool=${join(world.root, 'link')}/`)).to.include({ status: 0, stderr: '' });
  });

  it('starts a pool that exists, and neither builds it nor lets it start by itself', async () => {
    await world.createPool();
    await world.libvirtd.virsh('pool-destroy', 'uvtool');
    const dry = await world.sync('--create-pool', '--dry-run');
    expect(dry.stdout).to.contain("would start storage pool 'uvtool'");
    expect(await info()).to.match(/State: +inactive/);
    expect(await world.sync('--create-pool')).to.include({ status: 0, stderr: '' });
    expect(await info()).to.match(/Autostart: +no/);
    // Its disk is not mounted: to make the directory would be to fill the wrong disk.
    await world.libvirtd.virsh('pool-destroy', 'uvtool');
    await run('mv', [world.poolPath, `${world.poolPath}.away`]);
    const failed = await world.sync('--create-pool');
    expect(failed.status).to.equal(10);
    expect(failed.stderr).to.contain(`mount what belongs on '${world.poolPath}'`);
    expect(await readdir(world.libvirtd.root)).to.not.include('images');
  });

  it('leaves the directory of others as it is, and makes none of its own for good that cannot be used', async () => {
    await mkdir(world.poolPath);
    await chmod(world.poolPath, 0o755);
    // The daemon is another user, and cannot write there.
    const { mtimeMs, mode, uid } = await stat(world.poolPath);
    const failed = await world.sync(`--create-pool=${world.poolPath}`);
    expect(failed.status).to.not.equal(0);
    expect((await pools()).trim()).to.equal('');
    expect(await stat(world.poolPath)).to.include({ mtimeMs, mode, uid });
    expect(world.imageRequests()).to.equal(0);
    await world.libvirtd.give(world.poolPath);
    expect(await world.sync(`--create-pool=${world.poolPath}`)).to.include({ status: 0, stderr: '' });
    expect((await stat(world.poolPath)).mode).to.equal(mode);
  });

  it('tries its own directories before it makes a pool', async () => {
    await writeFile(join(world.root, 'file'), 'x');
    const metadata = join(world.root, 'file', 'metadata');
    const { status, stderr } = await world.sync(`--create-pool=${world.poolPath}`, '--metadata-dir', metadata);
    expect(stderr).to.contain(`metadata directory '${metadata}'`);
    expect(status).to.equal(1);
    expect((await pools()).trim()).to.equal('');
    expect(await readdir(world.libvirtd.root)).to.not.include('images');
    expect(await readFile(join(world.root, 'file'), 'utf8')).to.equal('x');
    const own = await world.sync(`--create-pool=${join(world.root, 'state')}`);
    expect(own.stderr).to.contain('is the directory of storage pool');
    expect(own.status).to.equal(2);
    expect((await pools()).trim()).to.equal('');
  });
});
