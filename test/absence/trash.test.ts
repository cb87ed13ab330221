import { expect } from 'chai';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ImageStatus } from '../../src/core/lifecycle.ts';
import { readRecords } from '../../src/state/records.ts';
import { sha256Of, stateOf } from '../support/aftermath.ts';
import { jsonLines } from '../support/json-lines.ts';
import { createQcow2, qemuImg, qemuIo } from '../support/qemu.ts';
import { type Run, World } from '../support/world.ts';

const run = promisify(execFile);
const NOW = ['--yes', '--grace', '0', '--min-age', '0', '--allow-mass-removal'];
const OLD = '20240401';
const NEW = '20240402';

describe('a deletion', () => {
  let world: World;
  let old: string;
  let oldPath: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    old = world.volumeName('noble', OLD);
    oldPath = world.volumePath('noble', OLD);
  });
  after(() => world.stop());
  beforeEach(async () => {
    await world.reset();
    await world.holdVersions('noble', [OLD, NEW]);
  });

  it('is a rename into a folder beside the pool, which only its owner can enter [B1]', async () => {
    const before = await stat(oldPath);
    const { status, stdout } = await gc();
    expect(status).to.equal(0);
    expect(stdout).to.match(/^deleted image \S+ 20240401 \(1\.3 MiB freed on \d{4}-\d\d-\d\d\)$/m);
    expect(existsSync(oldPath)).to.equal(false);
    const [entry] = await world.trash();
    const file = entry?.['file'] ?? '';
    expect(file).to.match(new RegExp(`^${world.libvirtd.root}/\\.poolkeeper-trash-[-0-9a-f]{36}/`));
    const after = await stat(file);
    expect([after.ino, after.size, after.mtimeMs]).to.deep.equal([before.ino, before.size, before.mtimeMs]);
    const place = await stat(join(file, '../..'));
    expect([place.mode & 0o7777, place.uid]).to.deep.equal([0o700, (await stat(world.poolPath)).uid]);
    expect(await statusOf(old)).to.equal('deleted');
    expect(await world.libvirtd.virsh('vol-list', 'uvtool')).not.to.include(old);
  });

  it('goes for good after the time that it is kept, and not before [B1]', async () => {
    await gc();
    await gc('--trash-for', '1h');
    expect(await world.trash()).to.have.lengthOf(1);
    await backdate(3_700_000);
    expect((await gc('--trash-for', '1h')).stdout).to.match(
      /^emptied the trash of image \S+ 20240401 \(1\.3 MiB freed\)$/m,
    );
    expect(await world.trash()).to.deep.equal([]);
    expect(await filesBeside()).to.deep.equal([]);
    expect(await readdir(join(await stateOf(world), 'trash'))).to.deep.equal([]);
  });

  it('goes for good, the oldest first, while too little of the file system is free [B1]', async () => {
    await gc();
    await backdate(1000);
    await world.publishRelease('noble', '20240403');
    // More than there can be: everything goes. The twin is every other test, where a tenth is free.
    const { stdout } = await world.sync('--trash-min-free', '99');
    expect(stdout).to.match(/^emptied the trash of image \S+ 20240401 /m);
    expect(await world.trash()).to.deep.equal([]);
  });

  it('goes for good when images and trash together are larger than the pool may be [B1]', async () => {
    await gc();
    expect((await gc('--max-size', '2M')).stdout).to.match(/^emptied the trash of image \S+ 20240401 /m);
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', NEW)]);
  });

  it('is undone by its run, by its image, and by nothing but undo when nothing was named [B2]', async () => {
    const content = await sha256Of(oldPath);
    for (const words of [[], [old], ['run']]) {
      await gc();
      const runId = (await world.trash())[0]?.['run'] ?? '';
      const { status, stdout, stderr } = await world.poolkeeper('undo', ...(words[0] === 'run' ? [runId] : words));
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      expect(stdout).to.match(/^took image \S+ 20240401 out of the trash$/m);
      expect(await sha256Of(oldPath)).to.equal(content);
      expect(await statusOf(old)).to.equal('active');
      expect(await world.volumes()).to.include(old);
      expect(await filesBeside()).to.deep.equal([]);
    }
  });

  it('is undone with what the volume stood on, whenever that went [B2]', async () => {
    const [top, middle] = [join(world.poolPath, 'top.qcow2'), join(world.poolPath, 'middle.qcow2')];
    await overlay(middle, old);
    await qemuIo(middle, 'write -P 0x61 0 64k');
    await overlay(top, 'middle.qcow2');
    await qemuIo(top, 'write -P 0x62 64k 64k');
    const before = await contentOf(top);
    // Overlays first, and each in a run of its own.
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    await world.define('web1', { path: middle });
    await orphansOnly('top.qcow2');
    await world.libvirtd.virsh('undefine', 'web1');
    await orphansOnly('middle.qcow2');
    await gc();
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', NEW)]);
    const { status, stdout } = await world.poolkeeper('undo', 'top.qcow2');
    expect(status).to.equal(0);
    expect(stdout.split('\n').filter((line) => line !== '')).to.have.lengthOf(3);
    expect(stdout.indexOf(OLD)).to.be.lessThan(stdout.indexOf('middle.qcow2'));
    expect(await contentOf(top)).to.equal(before);
  });

  it('is not undone over a file that has the name by now, and that is said [B2]', async () => {
    await gc();
    await writeFile(oldPath, 'somebody else');
    const { status, stderr } = await world.poolkeeper('undo', old);
    expect(status).to.equal(3);
    expect(stderr)
      .to.match(/stays in the trash: another file has its name/)
      .and.include('its content is in');
    expect(await readFile(oldPath, 'utf8')).to.equal('somebody else');
    await rm(oldPath);
    expect((await world.poolkeeper('undo', old)).status).to.equal(0);
    expect(await qemuImg('check', oldPath)).to.include('No errors');
  });

  for (const [title, need] of [
    ['a domain by path', () => world.define('web1', { path: oldPath })],
    ['a domain by pool and volume', () => defineByVolume('web1')],
    [
      'an overlay outside of all pools, of a domain',
      async () => {
        const disk = join(world.root, 'web1.qcow2');
        await overlay(disk, oldPath);
        await world.define('web1', { path: disk });
      },
    ],
    ['an overlay in the pool', () => overlay(join(world.poolPath, 'web1.qcow2'), old)],
  ] as const)
    it(`comes back by itself at the next run once it is named by ${title}, and that is said [B2]`, async () => {
      const content = await sha256Of(oldPath);
      await gc();
      await world.publishRelease('jammy', OLD);
      await world.sync();
      await world.publishRelease('jammy', NEW);
      await world.sync();
      const twin = world.volumeName('jammy', OLD);
      expect((await world.trash()).map(({ volume }) => volume)).to.have.members([old, twin]);
      await need();
      const dry = await world.poolkeeper('gc', '--dry-run');
      expect(dry.stdout).to.match(/^would take image \S+ 20240401 out of the trash, since /m);
      const { status, stdout, stderr } = await gc();
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      expect(stdout).to.match(/^took image \S+ 20240401 out of the trash, since \S.* names it$/m);
      expect(await sha256Of(oldPath)).to.equal(content);
      expect(await statusOf(old)).to.equal('active');
      // The twin goes on waiting.
      expect((await world.trash()).map(({ volume }) => volume)).to.deep.equal([twin]);
    });

  it('comes back so that a domain on it starts again after the next run [B2]', async () => {
    await gc();
    const disk = join(world.poolPath, 'web1.qcow2');
    await overlay(disk, old);
    await world.define('web1', { path: disk });
    const failure = await world.libvirtd.virsh('start', 'web1', '--paused').then(String, String);
    expect(failure).to.include('error');
    await world.sync();
    await world.libvirtd.virsh('start', 'web1', '--paused');
    await world.libvirtd.virsh('destroy', 'web1');
  });

  it('is not fetched again while its content lies in the trash [B2]', async () => {
    await world.poolkeeper('purge', '--yes');
    expect(await world.volumes()).to.deep.equal([]);
    const requests = world.server.requests.length;
    const { status, stdout } = await world.sync();
    expect(status).to.equal(0);
    expect(stdout).to.match(/^took image \S+ 20240402 out of the trash instead of fetching it again$/m);
    expect(world.imageRequests(requests)).to.equal(0);
    expect(await statusOf(world.volumeName('noble', NEW))).to.equal('active');
    expect((await world.poolkeeper('query')).stdout).to.include(NEW);
    // Another content of the same name is fetched.
    await world.poolkeeper('purge', '--yes');
    const [entry] = (await world.trash()).slice(-1);
    const file = entry?.['file'] ?? '';
    await qemuIo(file, 'write -P 0x11 0 64k');
    const again = await world.sync();
    expect(again.status).not.to.equal(0);
    expect((await world.poolkeeper('query')).stdout).not.to.include(NEW);
  });

  it('keeps nothing: what it stood on goes as if it were not there [B3]', async () => {
    const top = join(world.poolPath, 'top.qcow2');
    await overlay(top, old);
    await gc();
    expect(await world.volumes()).to.include(old);
    await orphansOnly('top.qcow2');
    await gc();
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', NEW)]);
    expect(await world.trash()).to.have.lengthOf(2);
  });

  it('keeps nothing either where the folder of the trash lies in another pool [B3]', async () => {
    const top = join(world.poolPath, 'top.qcow2');
    await overlay(top, old);
    await orphansOnly('top.qcow2');
    await world.libvirtd.virsh('pool-define-as', 'above', 'dir', '--target', world.libvirtd.root);
    try {
      await world.libvirtd.virsh('pool-start', 'above');
      expect((await world.poolkeeper('why', old)).stdout).not.to.include('poolkeeper-trash');
      expect((await gc()).stdout).to.match(/^deleted image \S+ 20240401 /m);
    } finally {
      await world.libvirtd.virsh('pool-destroy', 'above').catch(() => '');
      await world.libvirtd.virsh('pool-undefine', 'above');
    }
  });

  it('is shown by list --trash alone, and usage and metrics say when it is freed [B3]', async () => {
    await gc();
    for (const command of [['list'], ['query'], ['orphans'], ['references', '--help']])
      expect((await world.poolkeeper(...command)).stdout, command.join(' ')).not.to.include('poolkeeper-trash');
    const table = await world.poolkeeper('list', '--trash');
    expect(table.stdout).to.match(/^IMAGE +SIZE +DELETED +FREED +RUN +FILE\n\S+ 20240401 +1\.3 MiB +/);
    expect((await world.poolkeeper('usage')).stdout).to.match(
      /^1 deleted volume\(s\) in the trash take up 1\.3 MiB, freed on \d{4}-\d\d-\d\d$/m,
    );
    const metrics = join(world.root, 'metrics');
    await gc('--metrics-file', metrics);
    expect(await readFile(metrics, 'utf8')).to.match(/^poolkeeper_trash_bytes\{pool="uvtool"\} 13\d{5}$/m);
    const totals = jsonLines((await world.poolkeeper('usage', '--json')).stdout).find(
      ({ message_type: type }) => type === 'trash_totals',
    );
    expect(totals).to.include({ volumes: 1 });
    await world.poolkeeper('gc', '--empty-trash', '--yes');
    expect((await world.poolkeeper('usage')).stdout).not.to.include('trash');
  });

  it('of a foreign volume takes the same way [B4]', async () => {
    const path = join(world.poolPath, 'spare.qcow2');
    await createQcow2(path, { sizeBytes: 2 ** 20 });
    await world.libvirtd.give(path);
    const content = await sha256Of(path);
    await orphansOnly('spare.qcow2');
    expect(existsSync(path)).to.equal(false);
    expect((await world.trash()).map(({ volume }) => volume)).to.deep.equal(['spare.qcow2']);
    expect((await world.poolkeeper('undo')).stdout).to.equal(
      "took volume 'spare.qcow2' of pool 'uvtool' out of the trash\n",
    );
    expect(await sha256Of(path)).to.equal(content);
  });

  it('by --now --forever passes the trash, and takes out of it what lies there [B4]', async () => {
    await gc();
    expect(await world.poolkeeper('delete', '--now', '--forever', old)).to.include({ status: 1 });
    expect(await world.trash()).to.have.lengthOf(1);
    expect(await world.poolkeeper('delete', '--now', '--forever', '--yes', old)).to.include({ status: 0 });
    const fresh = world.volumeName('noble', NEW);
    expect(await world.poolkeeper('delete', '--now', '--forever', '--yes', fresh)).to.include({ status: 0 });
    expect(await world.trash()).to.deep.equal([]);
    expect(await filesBeside()).to.deep.equal([]);
    expect(await world.volumes()).to.deep.equal([]);
    // The twin, without --forever.
    await world.sync();
    await world.poolkeeper('delete', '--now', fresh);
    expect((await world.trash()).map(({ volume }) => volume)).to.deep.equal([fresh]);
  });

  it('by --force-in-use wants the name once more, says who needs it, and never takes what is leased or locked [B4]', async () => {
    await world.define('web1', { path: oldPath });
    const words = ['delete', '--now', '--forever', '--force-in-use', old];
    for (const more of [[], ['--yes'], ['--name', 'another']])
      expect(await world.poolkeeper(...words, ...more), more.join(' ')).to.include({ status: 1 });
    await world.poolkeeper('lock', old);
    expect(await world.poolkeeper(...words, '--name', old)).to.include({ status: 16 });
    await world.poolkeeper('unlock', old);
    expect(existsSync(oldPath)).to.equal(true);
    const { status, stderr } = await world.poolkeeper(...words, '--name', old);
    expect(status).to.equal(0);
    expect(stderr).to.include('is not spared by --force-in-use: needed by domain web1');
    expect(existsSync(oldPath)).to.equal(false);
    expect(await filesBeside()).to.deep.equal([]);
  });

  it('by force does not come back by itself, since who needs it was overridden; undo brings it [B2]', async () => {
    await world.define('web1', { path: oldPath });
    await world.poolkeeper('purge', '--yes', '--force-in-use');
    expect(existsSync(oldPath)).to.equal(false);
    await world.sync('--no-gc');
    expect(existsSync(oldPath)).to.equal(false);
    expect((await world.poolkeeper('undo', old)).status).to.equal(0);
    expect(existsSync(oldPath)).to.equal(true);
  });

  it('is final by gc --empty-trash, which asks, and leaves what is needed again [B4]', async () => {
    await gc();
    expect(await world.poolkeeper('gc', '--empty-trash')).to.include({ status: 1 });
    expect((await world.poolkeeper('gc', '--empty-trash', '--dry-run')).stdout).to.include(OLD);
    await world.define('web1', { path: oldPath });
    expect((await world.poolkeeper('gc', '--empty-trash', '--yes')).status).to.equal(0);
    expect(existsSync(oldPath)).to.equal(true);
    await world.libvirtd.virsh('undefine', 'web1');
    await world.poolkeeper('delete', '--now', old);
    expect((await world.poolkeeper('gc', '--empty-trash', '--yes')).stdout).to.include('emptied the trash of image');
    expect(existsSync(oldPath)).to.equal(false);
    expect(await filesBeside()).to.deep.equal([]);
  });

  it('is called off when somebody has the file open who cannot be seen in /proc, and the file is back [C1]', async () => {
    // A mapping whose descriptor is closed.
    const text = [
      'import ctypes, os, sys',
      `fd = os.open(${JSON.stringify(oldPath)}, os.O_RDONLY)`,
      'libc = ctypes.CDLL(None)',
      'libc.mmap.restype = ctypes.c_void_p',
      'libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]',
      'assert libc.mmap(None, 4096, 1, 1, fd, 0) not in (None, 2**64 - 1)',
      'os.close(fd)',
      'print("held", flush=True)',
      'sys.stdin.read()',
    ].join('\n');
    const holder = spawn('python3', ['-c', text], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await once(holder.stdout, 'data');
      const { status, stdout } = await gc();
      expect(status).to.equal(0);
      expect(stdout).to.match(/^spared image \S+ 20240401: somebody has it open$/m);
      expect(existsSync(oldPath)).to.equal(true);
      expect(await filesBeside()).to.deep.equal([]);
      expect(await world.volumes()).to.include(old);
      for (const words of [
        ['delete', '--now', old],
        ['purge', '--yes'],
      ]) {
        await world.poolkeeper(...words);
        expect(existsSync(oldPath), words.join(' ')).to.equal(true);
      }
    } finally {
      const ended = once(holder, 'exit');
      holder.stdin.end();
      await ended;
    }
    // The twin: the same, and nobody has it open.
    await gc();
    expect(existsSync(oldPath)).to.equal(false);
  });

  it('leaves the notes alone while the place of the trash is not there, as on a disk that is not mounted [B3]', async () => {
    await gc();
    const [place = ''] = await trashFolders();
    await rename(place, `${place}-away`);
    await gc();
    expect(await readdir(join(await stateOf(world), 'trash'))).to.have.lengthOf(1);
    await rename(`${place}-away`, place);
    expect((await world.poolkeeper('undo', old)).status).to.equal(0);
    expect(existsSync(oldPath)).to.equal(true);
  });

  it('can be undone without any note, by what lies in the trash alone [B2]', async () => {
    await gc();
    await rm(join(await stateOf(world), 'trash'), { recursive: true });
    const [entry] = await world.trash();
    expect(entry?.['volume']).to.equal(old);
    expect((await world.poolkeeper('undo', old)).status).to.equal(0);
    expect(await statusOf(old)).to.equal('active');
  });

  it('does not use a trash folder that somebody else could have put there, and says so [B1]', async () => {
    await gc();
    const [place = ''] = await trashFolders();
    await world.poolkeeper('undo', old);
    await rm(place, { recursive: true });
    const elsewhere = join(world.root, 'elsewhere');
    await mkdir(elsewhere, { recursive: true });
    await run('ln', ['-s', elsewhere, place]);
    try {
      const { stderr } = await gc();
      expect(stderr).to.match(/cannot be brought back: there is no place for a trash \(\S+: EEXIST\)/);
      expect(await readdir(elsewhere)).to.deep.equal([]);
      expect(existsSync(oldPath)).to.equal(false);
    } finally {
      await rm(place);
    }
  });

  async function gc(...options: readonly string[]): Promise<Run> {
    return world.poolkeeper('gc', ...NOW, ...options);
  }

  /** Deletes one foreign volume. */
  async function orphansOnly(name: string): Promise<void> {
    const before = await readdir(world.poolPath);
    const result = await world.poolkeeper('orphans', '--delete', '--yes', '--min-age', '0', '--allow-mass-removal');
    expect(result.status, result.stderr).to.equal(0);
    const after = await readdir(world.poolPath);
    expect(before.filter((each) => !after.includes(each))).to.deep.equal([name]);
  }

  async function overlay(path: string, backing: string): Promise<void> {
    await createQcow2(path, { sizeBytes: 2 ** 20, backing });
    await world.libvirtd.give(path);
  }

  async function contentOf(path: string): Promise<string> {
    const raw = join(world.root, 'content.raw');
    await qemuImg('convert', '-O', 'raw', path, raw);
    return sha256Of(raw);
  }

  async function defineByVolume(name: string): Promise<void> {
    const path = join(world.root, `${name}.xml`);
    await world.define(name, { path: oldPath });
    const xml = await world.libvirtd.virsh('dumpxml', '--inactive', name);
    await writeFile(
      path,
      xml
        .replace(/<disk type='file'/, "<disk type='volume'")
        .replace(/<source file='[^']*'\/>/, `<source pool='uvtool' volume='${old}'/>`),
    );
    await world.libvirtd.virsh('define', path);
  }

  async function statusOf(name: string): Promise<ImageStatus | undefined> {
    const { records } = await readRecords(join(await stateOf(world), 'records'));
    return records.get(name)?.status;
  }

  async function trashFolders(): Promise<readonly string[]> {
    const names = await readdir(world.libvirtd.root);
    return names.filter((name) => name.startsWith('.poolkeeper-trash-')).map((name) => join(world.libvirtd.root, name));
  }

  /** Every file that lies in a trash folder beside the pool. */
  async function filesBeside(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const folder of await trashFolders()) {
      for (const name of await readdir(folder, { recursive: true })) {
        if (!(await lstat(join(folder, name))).isDirectory()) found.push(name);
      }
    }
    return found;
  }

  /** Moves the times of all notes back. */
  async function backdate(byMs: number): Promise<void> {
    const dir = join(await stateOf(world), 'trash');
    for (const name of await readdir(dir)) {
      const note = JSON.parse(await readFile(join(dir, name), 'utf8')) as { trashedAt: number };
      await writeFile(join(dir, name), JSON.stringify({ ...note, trashedAt: note.trashedAt - byMs }));
    }
  }
});
