import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { openIntentsOf, until } from '../support/aftermath.ts';
import { domainXml, qemuImg } from '../support/qemu.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { type Run, World } from '../support/world.ts';

const MIB = 2 ** 20;

/** A disk of 4 MiB with a boot sector and no zeros. */
async function writeDisk(dir: string): Promise<string> {
  const disk = Buffer.alloc(4 * MIB, 'golden image ');
  disk.write('\x55\xaa', 510, 'latin1');
  await writeFile(join(dir, 'disk.raw'), disk);
  return join(dir, 'disk.raw');
}

describe('an import into a pool with little room', () => {
  let world: World;
  let pool: SmallDisk;
  let raw: string;

  before(async () => {
    world = await World.start();
    pool = await SmallDisk.mount(world.poolPath, { sizeKib: 12 * 1024, mode: '777' });
    await world.createPool();
    raw = await writeDisk(world.root);
  });
  after(async () => {
    await pool.unmount();
    await world.stop();
  });
  afterEach(() => pool.empty());

  /** Runs the program with a file as its standard input. */
  async function pipe(path: string, ...words: readonly string[]): Promise<Run> {
    const [program = '', ...args] = world.commandLine(words);
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.on('error', () => undefined).end(await readFile(path));
    const [stdout, stderr, [status]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    return { status: Number(status), stdout, stderr };
  }

  async function assertNothingLeft({ status, stderr }: Run, message: RegExp): Promise<void> {
    expect(status, stderr).to.equal(17);
    expect(stderr.split('\n')[0]).to.match(message);
    expect((await readdir(world.poolPath)).filter((name) => name !== 'ballast')).to.deep.equal([]);
    expect(await openIntentsOf(world)).to.deep.equal([]);
  }

  it('leaves nothing when the image is too large, whenever that turns out', async () => {
    await pool.fill(2048);
    const known = await world.poolkeeper('import', raw, '--name', 'golden');
    await assertNothingLeft(known, /cannot import image 'golden': it needs 4 MiB, and 2 MiB are free for it$/);
    const unknown = await pipe(raw, 'import', '-', '--name', 'golden');
    await assertNothingLeft(unknown, /^poolkeeper: error: cannot write to volume 'x-uvt-\S+' in pool 'uvtool': /);
    await pool.fill(5 * 1024);
    const converted = await world.poolkeeper('import', raw, '--name', 'golden');
    await assertNothingLeft(converted, /cannot convert image 'golden' to qcow2: up to 4 MiB were needed, and 1 MiB/);
  });

  it('succeeds once there is room, and a full clone of it leaves nothing when there is none', async () => {
    expect(await world.poolkeeper('import', raw, '--name', 'golden')).to.include({ status: 0, stderr: '' });
    const before = await world.volumes();
    await pool.fill(2048);
    const clone = await world.poolkeeper('clone', '--full', 'local:golden', 'web1');
    expect([clone.status, clone.stdout], clone.stderr).to.deep.equal([17, '']);
    expect((await world.volumes()).filter((name) => name !== 'ballast')).to.deep.equal(before);
    await pool.empty();
    expect(await world.poolkeeper('clone', '--full', 'local:golden', 'web1')).to.include({ status: 0, stderr: '' });
  });
});

describe('an image that was brought in', () => {
  let world: World;
  let raw: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    raw = await writeDisk(world.root);
    await qemuImg('convert', '-f', 'raw', '-O', 'vmdk', raw, join(world.root, 'disk.vmdk'));
  });
  after(() => world.stop());

  it('is not there when the command is stopped while it waits for more', async () => {
    const [program = '', ...args] = world.commandLine(['import', '-', '--name', 'golden']);
    const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    child.stdin.on('error', () => undefined).write((await readFile(raw)).subarray(0, 2 * MIB));
    await until(async () => (await readdir(world.poolPath)).length > 0);
    child.kill('SIGINT');
    const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    expect({ status, stderr }).to.deep.equal({ status: 130, stderr: 'poolkeeper: error: stopped by SIGINT\n' });
    expect(await readdir(world.poolPath)).to.deep.equal([]);
    expect(await openIntentsOf(world)).to.deep.equal([]);
  });

  it('starts in a domain by way of a clone, is kept by it, and is what it was', async () => {
    const imported = await world.poolkeeper('import', join(world.root, 'disk.vmdk'), '--name', 'golden');
    expect(imported).to.include({ status: 0, stderr: '' });
    const path = (await world.poolkeeper('clone', 'local:golden', 'web1', '--size', '20M')).stdout.trim();
    const xml = join(world.root, 'web1.xml');
    await writeFile(xml, domainXml({ name: 'web1', disks: [{ path }] }));
    await world.libvirtd.virsh('define', xml);
    await world.libvirtd.virsh('start', 'web1', '--paused');
    try {
      const [base = ''] = (await world.volumes()).filter((name) => name.startsWith('x-uvt-'));
      const why = await world.poolkeeper('why', base);
      expect(why.stdout).to.include('web1').and.include(path);
      const refused = await world.poolkeeper('delete', 'local:golden', '--now');
      expect(refused.status, refused.stderr).to.equal(16);
      expect(await world.volumes()).to.include(base);
      expect(await world.poolkeeper('verify', 'local:golden')).to.include({ status: 0, stderr: '' });
    } finally {
      await world.libvirtd.virsh('destroy', 'web1');
    }
  });
});
