import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { localName } from '../../src/core/local-image.ts';
import type { ImageRecord } from '../../src/core/record.ts';
import { readRecords } from '../../src/state/records.ts';
import { stateOf } from '../support/aftermath.ts';
import { jsonLines } from '../support/json-lines.ts';
import { createQcow2, qemuImg } from '../support/qemu.ts';
import { type Run, World } from '../support/world.ts';

const run = promisify(execFile);
const MIB = 2 ** 20;

/** What qemu-img makes of a disk, by the name of its file. */
const FORMATS = {
  'disk.qcow2': ['qcow2'],
  'zipped.qcow2': ['qcow2', '-c'],
  'sparse.vmdk': ['vmdk', '-o', 'subformat=monolithicSparse'],
  'stream.vmdk': ['vmdk', '-o', 'subformat=streamOptimized'],
  'disk.vhdx': ['vhdx'],
  'disk.vhd': ['vpc', '-o', 'force_size=on'],
} as const;

describe('import', () => {
  let world: World;
  let raw: string;
  const file = (name: string): string => join(world.root, name);

  before(async () => {
    world = await World.start();
    await world.createPool();
    raw = file('disk.raw');
    await writeFile(raw, diskOf(4 * MIB));
    for (const [name, [format, ...options]] of Object.entries(FORMATS))
      await qemuImg('convert', '-q', '-f', 'raw', '-O', format, ...options, raw, file(name));
    await run('xz', ['-kf0', raw]);
    await run('zstd', ['-qkf', raw]);
    await run('gzip', ['-kf', file('stream.vmdk')]);
  });
  after(() => world.stop());
  afterEach(() => world.reset());

  const imports = (...words: readonly string[]) => world.poolkeeper('import', ...words);

  for (const name of [...Object.keys(FORMATS), 'disk.raw', 'disk.raw.zst'])
    it(`makes a qcow2 image of ${name}`, async () => {
      const imported = await imports(file(name), '--name', 'golden', '--json');
      expect([imported.status, imported.stderr], imported.stdout).to.deep.equal([0, '']);
      const [volume = '', ...others] = await world.volumes();
      expect(others).to.deep.equal([]);
      const path = join(world.poolPath, volume);
      const info = JSON.parse(await qemuImg('info', '--output=json', path)) as Record<string, unknown>;
      expect(info)
        .to.include({ format: 'qcow2', 'virtual-size': 4 * MIB })
        .and.not.to.have.property('backing-filename');
      await qemuImg('compare', '-q', '-F', 'qcow2', '-f', 'raw', raw, path);
      const [line] = jsonLines(imported.stdout) as [Record<string, unknown>];
      const bytes = await readFile(path);
      expect(line).to.include({ sha256: hash('sha256', bytes), size_bytes: bytes.length });
      expect(line).to.include({ delivered_sha256: hash('sha256', await readFile(file(name))) });
    });

  /** The records of images of that name, without what differs from run to run. */
  async function recordsOf(name: string): Promise<readonly Pick<ImageRecord, 'status' | 'provenance' | 'traits'>[]> {
    const { records } = await readRecords(join(await stateOf(world), 'records'));
    const known = [...records.values()].filter(({ identity }) => localName(identity) === name);
    return known.map(({ status, provenance, traits }) => ({ status, provenance, traits }));
  }

  const pipe = (path: string, ...words: readonly string[]) =>
    run('sh', ['-c', 'cat "$0" | "$@"', path, ...world.commandLine(['import', '-', ...words])]);

  it('takes what comes from standard input, writes down what it was, and offers it', async () => {
    const [packed, sha512] = [`${raw}.xz`, hash('sha512', await readFile(`${raw}.xz`))];
    await pipe(packed, '--name', 'golden', '--tag', 'release=noble', '--digest', `sha512:${sha512}`);
    const [volume = ''] = await world.volumes();
    const bytes = await readFile(join(world.poolPath, volume));
    const [record] = await recordsOf('golden');
    expect(record).to.deep.equal({
      status: 'active',
      traits: { type: 'os', isPersistent: false, displayName: undefined, snapshotOf: undefined },
      provenance: {
        source: 'standard input',
        itemPath: undefined,
        sizeBytes: BigInt(bytes.length),
        digest: { algorithm: 'sha256', hex: hash('sha256', bytes) },
        deliveredDigest: { algorithm: 'sha512', hex: sha512 },
        signer: undefined,
        broughtBy: record?.provenance.broughtBy,
      },
    });
    const { stdout } = await world.poolkeeper('query', 'release=noble', '--json');
    expect(jsonLines(stdout)).to.have.lengthOf(1);
    expect(await world.poolkeeper('clone', 'local:golden', 'web1', '--overlay')).to.include({ status: 0, stderr: '' });
  });

  it('follows an address, goes on where the connection breaks, and keeps no password', async () => {
    await mkdir(world.mirror, { recursive: true });
    await copyFile(file('stream.vmdk.gz'), join(world.mirror, 'golden.img'));
    world.server.fault('/golden.img', { kind: 'reset', fraction: 0.5 }, { times: 1 });
    const address = `${world.server.url}golden.img`;
    expect(await imports(address.replace('//', '//me:secret@'), '--name', 'golden')).to.include({ status: 0 });
    expect((await recordsOf('golden'))[0]?.provenance.source).to.equal(address);
    expect(world.server.requests.filter(({ path }) => path === '/golden.img')).to.have.lengthOf(2);
  });

  it('leaves a disc and a block of data as they are', async () => {
    await writeFile(file('disc.iso'), Buffer.concat([Buffer.alloc(0x8001), Buffer.from('CD001'), Buffer.alloc(2042)]));
    await writeFile(file('data.bin'), 'any bytes at all');
    for (const [name, type] of [
      ['disc.iso', 'cdrom'],
      ['data.bin', 'datablock'],
    ] as const) {
      expect(await imports(file(name), '--name', type, '--type', type)).to.include({ status: 0, stderr: '' });
      const [record] = await recordsOf(type);
      expect(record?.provenance.digest?.hex).to.equal(hash('sha256', await readFile(file(name))));
    }
  });

  it('keeps the image through syncs and collections', async () => {
    await world.publishRelease('noble', '20240423');
    await imports(raw, '--name', 'golden');
    const before = await world.volumes();
    expect((await world.sync('--gone', 'drop-when-unused')).status).to.equal(0);
    const periods = ['--grace', '0', '--min-age', '0'];
    expect(await world.poolkeeper('gc', '--yes', '--gone', 'drop-when-unused', ...periods)).to.include({ status: 0 });
    expect(await world.volumes()).to.include.members(before);
  });

  it('makes empty images, which can be taken back once they wait for their deletion', async () => {
    const created = await world.poolkeeper('create', '--name', 'db', '--size', '10M', '--persistent', '--json');
    const plain = await world.poolkeeper('create', '--name', 'plain', '--size', '10M', '--format', 'raw');
    expect([created.status, plain.status]).to.deep.equal([0, 0]);
    expect(await world.poolkeeper('create', '--name', 'db', '--size', '1M')).to.include({ status: 1 });
    expect(await world.poolkeeper('create', '--name', 'other', '--size', '0')).to.include({ status: 2 });
    const infos = [];
    for (const name of await world.volumes())
      infos.push(JSON.parse(await qemuImg('info', '--output=json', join(world.poolPath, name))));
    const shapes = infos.map(({ format, 'virtual-size': size }) => ({ format, size }));
    expect(shapes).to.have.deep.members(['qcow2', 'raw'].map((format) => ({ format, size: 10 * MIB })));
    expect((await recordsOf('db'))[0]?.traits).to.include({ type: 'datablock', isPersistent: true });
    for (const command of ['delete', 'undo'])
      expect(await world.poolkeeper(command, 'local:plain')).to.include({ status: 0, stderr: '' });
    expect((await recordsOf('plain')).map(({ status }) => status)).to.deep.equal(['active']);
  });

  describe('refuses', () => {
    before(async () => {
      const qcow2 = await readFile(file('disk.qcow2'));
      await mkdir(file('folder'));
      await writeFile(file('cut.qcow2'), qcow2.subarray(0, qcow2.length - 2 * MIB + 65_536));
      const vmdk = await readFile(file('sparse.vmdk'));
      await writeFile(file('cut.vmdk'), vmdk.subarray(0, vmdk.length - MIB));
      await writeFile(file('cut.xz'), (await readFile(`${raw}.xz`)).subarray(0, -5000));
      await createQcow2(file('overlay.qcow2'), { sizeBytes: MIB, backing: '/etc/shadow', backingFormat: 'raw' });
    });

    for (const [title, name, status, message] of [
      ['a file that there is not', 'none', 1, /^cannot import '\S+none': there is no such file$/],
      ['a directory', 'folder', 1, /^cannot import '\S+folder': it is a directory$/],
      [
        'an address without an image',
        'http:none.img',
        11,
        /^cannot fetch image \S+: the server answered with status 404$/,
      ],
      ['an overlay', 'overlay.qcow2', 12, /^image 'golden' names a backing file: '\/etc\/shadow'$/],
      [
        'a qcow2 image that is cut off',
        'cut.qcow2',
        15,
        /^image 'golden' is cut off: it refers to byte \d+, and has \d+$/,
      ],
      [
        'a VMDK image that is cut off',
        'cut.vmdk',
        15,
        /^image 'golden' is cut off or damaged: it refers to byte \d+, /,
      ],
      ['packed data that is cut off', 'cut.xz', 15, /^cannot unpack the image: its xz data is damaged or cut off \(/],
    ] as const)
      it(`${title}, and leaves nothing`, async () => {
        const path = name.startsWith('http:') ? world.server.url + name.slice(5) : file(name);
        await assertRefused(await imports(path, '--name', 'golden'), status, message);
        expect((await recordsOf('golden')).map((record) => record.status)).to.deep.equal(
          status === 1 || status === 11 ? [] : ['deleted'],
        );
      });

    for (const [title, words, status, message] of [
      ['a wrong checksum', ['--digest', `sha256:${'0'.repeat(64)}`], 15, /expected sha256 0{64}, found [0-9a-f]{64}$/],
      [
        'an image that there is no room for',
        ['--reserve', '1000T'],
        17,
        /^cannot import image 'golden': it needs 4 MiB, and 0 B/,
      ],
    ] as const)
      it(`${title}, and leaves nothing`, async () => {
        await assertRefused(await imports(raw, '--name', 'golden', ...words), status, message);
      });

    it('what swells beyond the room that there is, and leaves nothing', async () => {
      const refusal = await imports(`${raw}.xz`, '--name', 'golden', '--reserve', '1000T');
      await assertRefused(refusal, 17, /^the image is larger than the room that is free for it in the storage pool$/);
    });

    async function assertRefused({ stdout, stderr, status }: Run, expected: number, message: RegExp): Promise<void> {
      expect([status, stdout], stderr).to.deep.equal([expected, '']);
      expect(stderr.split('\n')[0]?.replace('poolkeeper: error: ', '')).to.match(message);
      expect(await world.volumes()).to.deep.equal([]);
    }

    it('a name that exists', async () => {
      await imports(raw, '--name', 'golden');
      const before = await world.tree();
      const refusal = await imports(file('disk.qcow2'), '--name', 'golden');
      expect([refusal.status, refusal.stderr]).to.deep.equal([
        1,
        `poolkeeper: error: image 'golden' exists already: its status is active\npoolkeeper: hint: choose another name, or delete that image first\n`,
      ]);
      expect(Object.keys(await world.tree())).to.deep.equal(Object.keys(before));
    });
  });
});

/** A disk with a boot sector, some data and some nothing. */
function diskOf(sizeBytes: number): Buffer {
  const disk = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes / 2; at += 4) disk.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  disk.write('\x55\xaa', 510, 'latin1');
  return disk;
}

function hash(algorithm: string, bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('hex');
}
