import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { gcCommand } from '../../src/commands/gc.ts';
import { withImages } from '../../src/commands/image-command.ts';
import { encodeMetadataName, type Identity } from '../../src/core/identity.ts';
import type { ImageRecord } from '../../src/core/record.ts';
import { writeMetadataFile } from '../../src/state/metadata-files.ts';
import { readRecords, writeRecord } from '../../src/state/records.ts';
import { bootTimeMs } from '../../src/util/kernel.ts';
import { openIntentsOf, sha256Of, stateOf } from '../support/aftermath.ts';
import { inProcess } from '../support/in-process.ts';
import { letLive } from '../support/lived.ts';
import { addPersistent } from '../support/persistent-image.ts';
import { createQcow2, qemuIo } from '../support/qemu.ts';
import { UNCOVERED, World } from '../support/world.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';
const KILL_POINTS = fileURLToPath(new URL('../fault/kill-points.js', import.meta.url));

describe('the rules of what may be garbage', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());
  beforeEach(() => world.reset());

  const nameOf = (identity: Identity): string => encodeMetadataName(identity);

  /** Puts a volume into the pool about which nothing is written down. */
  async function place(identity: Identity): Promise<string> {
    const name = nameOf(identity);
    await copyFile(await world.image(`placed-${identity.version}`), join(world.poolPath, name));
    await world.libvirtd.give(join(world.poolPath, name));
    return name;
  }

  async function recordOf(name: string): Promise<ImageRecord | undefined> {
    return (await readRecords(join(await stateOf(world), 'records'))).records.get(name);
  }

  it('keeps a volume without a record whose product no source ever listed, while one that was listed goes [A1]', async () => {
    const [unlisted, listed] = [
      { product: 'com.example:mine', version: '1' },
      { product: 'com.ubuntu.cloud:server:24.04:arm64', version: '20200101' },
    ];
    const arm = {
      release: 'noble',
      arch: 'arm64',
      versions: [{ serial: '20240101', image: await world.image('arm') }],
    };
    await world.publish([await world.release('noble', '20240423'), arm]);
    await place(unlisted);
    await place(listed);
    // The filter for amd64 leaves the other product out, which is listed all the same.
    const run = await world.sync('arch=amd64');
    expect(run.status, run.stderr).to.equal(0);
    expect(run.stderr).to.include('no source that is known here ever listed its product');
    expect(await world.volumes()).to.deep.equal([nameOf(unlisted), world.volumeName('noble', '20240423')].sort());
    expect(await recordOf(nameOf(unlisted))).to.equal(undefined);
  });

  it('keeps offering a volume without a record that has a metadata file, whoever wrote it [A1]', async () => {
    const identity = { product: 'com.example:mine', version: '1' };
    await place(identity);
    await writeMetadataFile(world.metadata, identity, { release: 'mine', arch: 'amd64' });
    await world.publishRelease('noble', '20240423');
    expect((await world.sync()).stderr).to.equal('');
    expect((await world.poolkeeper('query')).stdout).to.include('release=mine');
    // The twin: its offer is taken back by the person who says so, and then it goes by its record.
    expect((await world.poolkeeper('delete', 'com.example:mine', '1')).status).to.equal(0);
    expect((await world.sync()).stderr).to.equal('');
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20240423')]);
  });

  for (const history of [
    'is there',
    'was presumed to be garbage by version 0.1',
    'comes back after it was deleted',
  ] as const) {
    it(`keeps a volume whose name says that a person made it, when it ${history}, and says so [A2]`, async () => {
      const identity = { product: 'local:golden', version: '20240101T000000Z' };
      await world.publishRelease('noble', '20240423');
      await world.sync();
      const name = await place(identity);
      if (history !== 'is there')
        await writeRecord(join(await stateOf(world), 'records'), presumption(identity, history));
      const [first, second] = [await world.sync(), await world.sync()];
      expect([first.status, second.status]).to.deep.equal([0, 0]);
      expect(first.stderr).to.include('a person made it').and.include(`'poolkeeper enable ${name}' takes it in`);
      expect(second.stderr).to.equal('');
      expect((await world.poolkeeper('doctor')).stdout).to.include('a person made it');
      expect((await world.poolkeeper('gc', '--yes', '--grace', '0', '--min-age', '0')).status).to.equal(0);
      await world.poolkeeper('purge', '--yes');
      expect(await world.volumes()).to.include(name);
      const orphans = await world.poolkeeper('orphans', '--delete', '--yes', '--min-age', '0', '--allow-mass-removal');
      expect(orphans.stdout).not.to.include(name);
      expect(await world.volumes()).to.include(name);
    });
  }

  it('takes what a person made in again, and deletes it, by its name [A2 twin]', async () => {
    const identity = { product: 'local:golden', version: '20240101T000000Z' };
    await world.publishRelease('noble', '20240423');
    await world.sync();
    const name = await place(identity);
    expect(await world.poolkeeper('enable', name)).to.include({ status: 0, stderr: '' });
    expect((await world.poolkeeper('query')).stdout).to.include('20240101T000000Z');
    expect((await world.poolkeeper('delete', 'local:golden', '--now')).stderr).to.equal('');
    expect(await world.volumes()).not.to.include(name);
    await place(identity);
    expect(await world.poolkeeper('delete', name, '--now')).to.include({ status: 0 });
    expect(await world.volumes()).not.to.include(name);
  });

  it('refuses a product of a source that bears the name of an image of this host, and takes the rest [A3]', async () => {
    const own = await world.image('golden');
    expect((await world.poolkeeper('import', own, '--name', 'golden')).status).to.equal(0);
    const [golden = ''] = await world.volumes();
    const before = await sha256Of(join(world.poolPath, golden));
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240101')]);
    await world.amend('com.ubuntu.cloud:released:download.json', (document) => {
      const { products = {} } = document;
      const { ['com.ubuntu.cloud:server:22.04:amd64']: jammy, ...others } = products;
      if (jammy === undefined) throw new Error('jammy is not published');
      document.products = { ...others, 'local:golden': jammy };
    });
    const run = await world.sync();
    expect(run.status).to.equal(12);
    expect(run.stderr).to.include(`cannot take image local:golden 20240101: names that begin with 'local:' belong`);
    expect(await world.volumes()).to.deep.equal([golden, world.volumeName('noble', '20240423')].sort());
    expect(await sha256Of(join(world.poolPath, golden))).to.equal(before);
    // A note of what the source said is as good as its documents.
    expect((await world.sync()).status).to.equal(12);
  });

  it('lets no source and no policy retire an own image, a persistent one or a snapshot, while what they replace goes [A4]', async () => {
    await world.publishRelease('noble', '20240101');
    await world.sync();
    const own = await world.image('golden');
    await world.poolkeeper('import', own, '--name', 'golden');
    const disk = await addPersistent(world, 'data');
    await world.poolkeeper('snapshot', 'create', 'data', 'first');
    const kept = (await world.volumes()).filter((name) => name !== world.volumeName('noble', '20240101'));
    expect(kept).to.have.lengthOf(3);
    // An own image that is not offered, as after a rescue.
    const golden = [...(await readRecords(join(await stateOf(world), 'records'))).records.values()].find(
      ({ identity }) => identity.product === 'local:golden',
    );
    if (golden === undefined) throw new Error('there is no record of the import');
    const source = world.server.url;
    const times = { createdAt: 0, statusSince: 0, lastNeededAt: 0 };
    await writeRecord(join(await stateOf(world), 'records'), {
      ...golden,
      provenance: { ...golden.provenance, source },
      times,
    });
    await rm(join(world.metadata, golden.volumeName));
    await world.publishRelease('noble', '20240423');
    const policy = ['--keep-versions', '1', '--unused-for', '1s', '--max-size', '1', '--gone', 'drop-when-unused'];
    for (let round = 0; round < 2; round += 1) {
      const run = await world.sync(...policy, '--allow-mass-removal');
      expect(run.stderr).to.equal('');
      await rm(join(world.metadata, golden.volumeName), { force: true });
      await world.poolkeeper('gc', '--yes', ...policy, '--grace', '0', '--min-age', '0', '--allow-mass-removal');
    }
    expect(await world.volumes()).to.include.members(kept);
    expect(await world.volumes()).not.to.include(world.volumeName('noble', '20240101'));
    expect(await sha256Of(disk.path)).to.match(/^[0-9a-f]{64}$/);
  });

  it('ends no grace period because the clock is set forward, and ends it by the time that was lived [A6]', async () => {
    await world.publishRelease('noble', '20240101');
    await world.sync();
    await world.publishRelease('noble', '20240423');
    await world.sync('--grace', '2h');
    const old = world.volumeName('noble', '20240101');
    expect(await world.volumes()).to.include(old);
    // A year ahead, a boot since, and both: nothing of it is lived time.
    for (const [ahead, uptime] of [
      [365 * DAY, bootTimeMs()],
      [365 * DAY, bootTimeMs() + 2 * HOUR - 60_000],
    ] as const) {
      await collectAt(
        () => Date.now() + ahead,
        () => uptime,
      );
      expect(await world.volumes()).to.include(old);
    }
    // The twin: the clock is right again, and two hours have been lived.
    await letLive(join(world.root, 'state'), 2 * HOUR);
    await moveRecord(old, 2 * HOUR);
    expect((await world.poolkeeper('gc', '--yes', '--grace', '2h', '--min-age', '0')).stderr).to.equal('');
    expect(await world.volumes()).not.to.include(old);
  });

  async function collectAt(now: () => number, sinceBoot: () => number): Promise<void> {
    const { context, options } = inProcess(world, now, sinceBoot);
    const policy = { keepVersions: 1, grace: '2h', minAge: '0', unusedFor: undefined, maxSize: undefined } as const;
    const rest = {
      gone: 'keep',
      dryRun: false,
      yes: true,
      out: undefined,
      metricsFile: undefined,
      emptyTrash: false,
    } as const;
    const all = { ...options, ...policy, ...rest, allowMassRemoval: true, _: [], $0: '' };
    await gcCommand(context).handler(all);
  }

  /** Sets back what a record says of its times. */
  async function moveRecord(name: string, ms: number): Promise<void> {
    const record = await recordOf(name);
    if (record === undefined) throw new Error(`there is no record of ${name}`);
    const at = Date.now() - ms;
    const times = { createdAt: at, statusSince: at, lastNeededAt: at };
    await writeRecord(join(await stateOf(world), 'records'), { ...record, times });
  }

  it('says with a dry run what the real run refuses, and ends as it does', async () => {
    await world.holdVersions('noble', ['20240101', '20240201', '20240301']);
    const options = ['--keep-versions', '1', '--grace', '0', '--min-age', '0'];
    const [dry, real] = [
      await world.poolkeeper('gc', '--dry-run', ...options),
      await world.poolkeeper('gc', '--yes', ...options),
    ];
    expect([dry.status, real.status]).to.deep.equal([13, 13]);
    expect(dry.stderr).to.include('nothing would be deleted: it would delete 2 of the 3 images');
    expect(real.stderr).to.include('nothing was deleted: it would delete 2 of the 3 images');
    const sync = await world.sync('--dry-run', '--keep-versions', '1');
    expect(sync.status).to.equal(13);
    // The twin: what is right ends well, dry and for real.
    for (const word of ['--dry-run', '--yes'])
      expect((await world.poolkeeper('gc', word, ...options, '--allow-mass-removal')).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20240301')]);
  });

  it('is jammed neither by a deleted import nor by what a person named, nor by what never arrived', async () => {
    await world.holdVersions('noble', ['20240101', '20240201', '20240301']);
    const own = await world.image('golden');
    await world.poolkeeper('import', own, '--name', 'golden');
    for (const image of ['local:golden', world.volumeName('noble', '20240101'), world.volumeName('noble', '20240201')])
      expect((await world.poolkeeper('delete', image)).status).to.equal(0);
    const failed = world.volumeName('noble', '20230101');
    await place({ product: NOBLE, version: '20230101' });
    const draft = presumption({ product: NOBLE, version: '20230101' }, '');
    await writeRecord(join(await stateOf(world), 'records'), { ...draft, status: 'killed', reason: 'wrong digest' });
    expect(await world.volumes()).to.include(failed);
    const run = await world.poolkeeper('gc', '--yes', '--keep-versions', '9', '--grace', '0', '--min-age', '0');
    expect([run.status, run.stderr]).to.deep.equal([0, '']);
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20240301')]);
  });

  it('purges with the eyes of today, not with those of the last refresh', async () => {
    await world.holdVersions('noble', ['20240101', '20240201']);
    const base = world.volumeName('noble', '20240101');
    const overlay = join(world.poolPath, 'web1.qcow2');
    await createQcow2(overlay, { sizeBytes: 2 ** 20, backing: base });
    await world.libvirtd.give(overlay);
    expect((await world.poolkeeper('purge', '--yes')).status).to.equal(16);
    expect(await world.volumes()).to.deep.equal(['web1.qcow2', base].sort());
    await rm(overlay);
    expect((await world.poolkeeper('purge', '--yes')).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([]);
  });

  it('passes no verdict on what is being written, and one on what was written wrong [E8]', async () => {
    await world.publishRelease('jammy', '20240101');
    await world.sync();
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240101')]);
    const path = world.volumePath('noble', '20240423');
    const whole = await readFile(join(world.root, 'noble-20240423.img'));
    await writeFile(path, whole.subarray(0, whole.length / 2));
    await world.libvirtd.give(path);
    const writer = await open(path, 'a');
    try {
      const run = await world.sync();
      // The other image is as it should be, so this is a failure in part.
      expect(run.status).to.equal(3);
      expect(run.stderr).to.include('somebody is writing to it');
      expect((await recordOf(world.volumeName('noble', '20240423')))?.status).not.to.equal('killed');
      expect(await world.volumes()).to.include(world.volumeName('noble', '20240423'));
      await writer.appendFile(whole.subarray(whole.length / 2));
    } finally {
      await writer.close();
    }
    const requests = world.server.requests.length;
    const complete = await world.sync();
    expect([complete.status, complete.stderr]).to.deep.equal([0, '']);
    expect(world.imageRequests(requests)).to.equal(0);
    expect((await recordOf(world.volumeName('noble', '20240423')))?.status).to.equal('active');
  });

  it('looks again at what was written anew since it was found wrong, while what was not goes [E8]', async () => {
    await world.publishRelease('jammy', '20240101');
    await world.sync();
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240101')]);
    const [path, name] = [world.volumePath('noble', '20240423'), world.volumeName('noble', '20240423')];
    await writeFile(path, Buffer.alloc(65_536, 'x'));
    await world.libvirtd.give(path);
    expect((await world.sync('--grace', '2h')).stderr).to.include('is not what the source describes');
    expect((await recordOf(name))?.status).to.equal('killed');
    await copyFile(join(world.root, 'noble-20240423.img'), path);
    // A collection that asks no source leaves it alone, and the next sync takes it over.
    await world.poolkeeper('gc', '--yes', '--grace', '0', '--min-age', '0');
    expect(await world.volumes()).to.include(name);
    expect((await world.sync()).stderr).to.equal('');
    expect((await recordOf(name))?.status).to.equal('active');
    // The twin: wrong, and not written to since.
    await world.poolkeeper('delete', name, '--now');
    await writeFile(path, Buffer.alloc(65_536, 'x'));
    await world.libvirtd.give(path);
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    expect((await world.sync('--grace', '2h')).stderr).to.include('is not what the source describes');
    await world.poolkeeper('gc', '--yes', '--grace', '0', '--min-age', '0');
    expect(await world.volumes()).not.to.include(name);
  });

  it('verifies nothing that is being written, and finds what was changed [E8]', async () => {
    await world.publishRelease('noble', '20240423');
    await world.sync();
    const path = world.volumePath('noble', '20240423');
    const writer = await open(path, 'r+');
    try {
      await writer.write(Buffer.from('x'), 0, 1, 70_000);
      const run = await world.poolkeeper('verify');
      expect(run.status).to.equal(3);
      expect(run.stdout + run.stderr).to.include('somebody is writing to it');
    } finally {
      await writer.close();
    }
    expect((await world.poolkeeper('verify')).status).to.equal(15);
  });

  for (const [what, put] of [
    ['a file of somebody else', (path: string) => writeFile(path, Buffer.alloc(131_072, 'precious'))],
    ['an image of somebody else', (path: string) => createQcow2(path, { sizeBytes: 2 ** 20 })],
    [
      'a file that begins with zeros',
      async (path: string) => {
        await writeFile(path, Buffer.alloc(131_072, 'precious'));
        const file = await open(path, 'r+');
        await file.write(Buffer.alloc(65_536), 0, 65_536, 0);
        await file.close();
      },
    ],
  ] as const) {
    it(`finishes no change of an image over ${what}, and keeps what it was to become [E9]`, async () => {
      const { image, before } = await interrupted();
      await put(image);
      await world.libvirtd.give(image);
      const content = await sha256Of(image);
      await recover();
      expect(await sha256Of(image)).to.equal(content);
      const kept = [...(await readRecords(join(await stateOf(world), 'records'))).records.values()].filter(
        ({ status, traits }) => status === 'active' && traits?.snapshotOf !== undefined,
      );
      expect(kept).to.have.lengthOf(1);
      const copy = join(world.poolPath, kept[0]?.volumeName ?? '');
      expect(await sha256Of(copy)).to.equal(before);
      await world.poolkeeper('gc', '--yes', '--grace', '0', '--min-age', '0', '--allow-mass-removal');
      expect(await sha256Of(copy)).to.equal(before);
      expect(await openIntentsOf(world)).to.deep.equal([]);
    });
  }

  it('finishes a change of an image over nothing, and over an empty file [E9 twin]', async () => {
    for (const isEmpty of [false, true]) {
      await world.reset();
      const { image } = await interrupted();
      if (isEmpty) {
        await writeFile(image, '');
        await truncate(image, 65_536);
        await world.libvirtd.give(image);
      }
      await recover();
      expect(await qemuIo(image, 'read -P 97 0 1M')).not.to.include('verification failed');
      expect(await openIntentsOf(world)).to.deep.equal([]);
    }
  });

  /** A snapshot whose run was killed when the image was gone and not yet made anew. */
  async function interrupted(): Promise<{ readonly image: string; readonly before: string }> {
    const { path } = await addPersistent(world, 'data');
    await qemuIo(path, 'write -P 97 0 1M');
    const before = await sha256Of(path);
    const points = await killAt(0);
    await world.reset();
    const again = await addPersistent(world, 'data');
    await qemuIo(again.path, 'write -P 97 0 1M');
    const begin = points.indexOf('after begin replace');
    await killAt(points.findIndex((label, index) => index > begin && label.startsWith('after delete')) + 1);
    return { image: again.path, before };
  }

  async function killAt(point: number): Promise<readonly string[]> {
    const args = [KILL_POINTS, String(point), '0', 'snapshot', 'create', 'data', 'first', ...world.options];
    const env = { ...process.env, ...UNCOVERED };
    const child = spawn(process.execPath, args, { cwd: world.root, env, stdio: ['ignore', 'ignore', 'pipe'] });
    const closed = once(child, 'close');
    const labels = await text(child.stderr);
    await closed;
    return labels.split('\n').filter((label) => /^(?:before|after) /.test(label));
  }

  /** The next command, whatever it is. */
  async function recover(): Promise<void> {
    const { context, options } = inProcess(world);
    await withImages(context, options, 'test', async () => undefined);
  }

  /** What version 0.1 wrote of a volume of which it knew nothing, or what is left of one that was deleted. */
  function presumption(identity: Identity, history: string): ImageRecord {
    return {
      volumeName: nameOf(identity),
      identity,
      status: history.includes('deleted') ? 'deleted' : 'pending_delete',
      reason: undefined,
      provenance: {
        source: undefined,
        itemPath: undefined,
        sizeBytes: undefined,
        digest: undefined,
        signer: undefined,
        broughtBy: 'unknown',
      },
      tags: {},
      times: { createdAt: 0, statusSince: 0, lastNeededAt: 0 },
      retiredBy: '20240101T000000Z-0000',
    };
  }
});
