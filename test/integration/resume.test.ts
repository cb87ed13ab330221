import { expect } from 'chai';
import { appendFile, open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeVolumeName } from '../../src/core/identity.ts';
import { encodeLine } from '../../src/state/journal-lines.ts';
import { writeMetadataFile } from '../../src/state/metadata-files.ts';
import { aftermathOf, openIntentsOf, sha256Of, stateOf, until } from '../support/aftermath.ts';
import type { Fault } from '../support/http-fault.ts';
import { domainXml } from '../support/qemu.ts';
import { type Run, World } from '../support/world.ts';

const MIB = 2 ** 20;
const DISK = /\.img$/;
const [RELEASE, SERIAL] = ['noble', '20240821'];

describe('an interrupted transfer', () => {
  let world: World;
  let image: string;

  beforeEach(async () => {
    world = await World.start();
    await world.createPool();
    image = await world.image('noble-1', 12 * MIB);
    await publish(SERIAL, image);
  });
  afterEach(() => world.stop());

  it('goes on at the last checkpoint after SIGKILL', async () => {
    image = await world.image('noble-large', 130 * MIB);
    await publish(SERIAL, image);
    await interrupt('SIGKILL', 100 * MIB, 64 * MIB);
    expect(await world.poolkeeper('query')).to.include({ status: 0, stdout: '' });

    expect(await resumed()).to.deep.equal({ status: 0, ranges: [`bytes=${64 * MIB}-`] });
    await expectComplete();
  });

  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 130],
  ] as const) {
    it(`goes on where ${signal} stopped it, with the validators of that time`, async () => {
      const run = await interrupt(signal, 5 * MIB);
      const [first] = imageRequests();
      expect({ status: run.status, held: await heldBytes(), requests: imageRequests().length }).to.deep.equal({
        status,
        held: 5 * MIB,
        requests: 1,
      });
      expect((await aftermathOf(world)).metadata).to.deep.equal({});

      expect(await resumed()).to.deep.equal({ status: 0, ranges: [`bytes=${5 * MIB}-`] });
      const file = await stat(join(world.mirror, first?.path ?? ''));
      expect(imageRequests()[1]?.headers['if-range']).to.equal(
        `"${file.size.toString(16)}-${file.mtimeMs.toString(16)}"`,
      );
      await expectComplete();
    });
  }

  it('goes on where the network went away for good', async () => {
    world.server.fault(DISK, { kind: 'truncate', afterBytes: 3 * MIB }, { times: 1 });
    world.server.fault(DISK, { kind: 'status', status: 403 }, { after: 1 });
    const run = await world.sync('--retries', '1', 'arch=amd64');
    expect({ status: run.status, held: await heldBytes() }).to.deep.equal({ status: 11, held: 3 * MIB });
    const { records } = await aftermathOf(world);
    expect(Object.values(records).map(({ status }) => status)).to.deep.equal(['saving']);

    world.server.clearFaults();
    expect((await resumed()).ranges.at(-1)).to.equal(`bytes=${3 * MIB}-`);
    await expectComplete();
  });

  it('says how much is here already, before and after', async () => {
    await interrupt('SIGTERM', 5 * MIB);
    const plan = await world.sync('--dry-run', 'arch=amd64');
    expect(plan.stdout).to.contain('would fetch').and.to.contain(', 5 MiB are here)');
    const run = await world.sync('arch=amd64');
    expect(run.stdout).to.contain('fetched image').and.to.contain(', continued at 5 MiB');
  });

  it('goes on within the same run when libvirtd is restarted', async () => {
    world.server.fault(DISK, { kind: 'slow', bytesPerSecond: 20 * MIB });
    const run = world.startSync('arch=amd64');
    await until(() => (imageRequests()[0]?.bytes ?? 0) > 4 * MIB);
    await world.libvirtd.kill9();
    await world.libvirtd.start();
    world.server.clearFaults();
    const { status, stderr } = await run.ended;
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    await expectComplete();
  });

  it('needs no further byte if all of them had arrived', async () => {
    await interrupt('SIGKILL', 5 * MIB, 0);
    // As if it had been killed between the last byte and the record.
    await writeAt(world.volumePath(RELEASE, SERIAL), await readFile(image), 0);
    const data = { heldBytes: String((await stat(image)).size) };
    const [{ id } = { id: 0 }] = await openIntentsOf(world);
    await appendFile(join(await stateOf(world), 'journal'), encodeLine({ type: 'note', id, data }));
    expect(await resumed()).to.deep.equal({ status: 0, ranges: [] });
    await expectComplete();
  });

  const changes: readonly (readonly [string, Fault])[] = [
    ['its entity tag has changed', { kind: 'etag', value: '"other"' }],
    ['the server ignores Range', { kind: 'ignore-range' }],
    ['the server sends another range', { kind: 'content-range', value: 'bytes 0-9/10' }],
  ];
  for (const [title, fault] of changes) {
    it(`begins again in the same volume when ${title}`, async () => {
      await interrupt('SIGTERM', 5 * MIB);
      const { ino } = await stat(world.volumePath(RELEASE, SERIAL));
      world.server.fault(DISK, fault);
      expect(await resumed()).to.deep.equal({ status: 0, ranges: [`bytes=${5 * MIB}-`, undefined] });
      expect((await stat(world.volumePath(RELEASE, SERIAL))).ino).to.equal(ino);
      await expectComplete();
    });
  }

  it('is fetched once from its first byte, past all caches, when what was here has changed', async () => {
    await interrupt('SIGTERM', 5 * MIB);
    await writeAt(world.volumePath(RELEASE, SERIAL), Buffer.from('x'), 2 * MIB);
    expect(await resumed()).to.deep.equal({ status: 0, ranges: [`bytes=${5 * MIB}-`, undefined] });
    expect(imageRequests().at(-1)?.headers['cache-control']).to.equal('no-cache');
    await expectComplete();
  });

  it('is refused when the header that was here has become dangerous', async () => {
    await interrupt('SIGTERM', 5 * MIB);
    // A qcow2 header's incompatible features: the image keeps its data in another file.
    await writeAt(world.volumePath(RELEASE, SERIAL), Buffer.from([0x04]), 79);
    const run = await world.sync('arch=amd64');
    expect({ status: run.status, volumes: await world.volumes() }).to.deep.equal({ status: 12, volumes: [] });
    expect(run.stderr).to.contain('external data file');
  });

  it('begins again when told to', async () => {
    await interrupt('SIGTERM', 5 * MIB);
    expect(await resumed('--no-resume')).to.deep.equal({ status: 0, ranges: [undefined] });
    await expectComplete();
  });

  it('waits while the source is filtered away, and becomes garbage once it is replaced', async () => {
    await interrupt('SIGTERM', 5 * MIB);
    const newer = await world.image('noble-2');
    await world.publish([
      { release: RELEASE, versions: [{ serial: '20240901', image: newer }] },
      { release: 'jammy', versions: [{ serial: SERIAL, image: newer }] },
    ]);
    await world.sync('release=jammy');
    expect(await heldBytes()).to.equal(5 * MIB);

    const run = await world.sync('release=noble');
    expect(run.status).to.equal(0);
    const { volumes, records } = await aftermathOf(world);
    expect(Object.keys(volumes).sort()).to.deep.equal(
      [world.volumeName(RELEASE, '20240901'), world.volumeName('jammy', SERIAL)].sort(),
    );
    expect(records[world.volumeName(RELEASE, SERIAL)]?.status).to.equal('deleted');
    await world.sync('release=noble');
    expect(await openIntentsOf(world)).to.deep.equal([]);
  });

  it('is not written to while a domain uses the volume', async () => {
    await interrupt('SIGTERM', 5 * MIB);
    const path = world.volumePath(RELEASE, SERIAL);
    const xml = join(world.root, 'domain.xml');
    await writeFile(xml, domainXml({ name: 'early', disks: [{ path }] }));
    await world.libvirtd.virsh('define', xml);
    const before = await sha256Of(path);
    const run = await world.sync('arch=amd64');
    expect({ status: run.status, digest: await sha256Of(path) }).to.deep.equal({ status: 16, digest: before });
    expect(run.stderr).to.contain('early');
  });

  it('is never offered, even if uvtool has taken it for an image', async () => {
    await interrupt('SIGTERM', 5 * MIB);
    const identity = decodeVolumeName(world.volumeName(RELEASE, SERIAL));
    if (identity === undefined) throw new Error('the volume has no name of an image');
    await writeMetadataFile(world.metadata, identity, {});
    const run = world.startSync('arch=amd64');
    world.server.fault(DISK, { kind: 'stall', afterBytes: MIB });
    await until(() => imageRequests().length === 2);
    expect((await world.poolkeeper('query')).stdout).to.equal('');
    run.kill('SIGTERM');
    await run.ended;
  });

  function publish(serial: string, path: string): Promise<void> {
    return world.publish([{ release: RELEASE, versions: [{ serial, image: path }] }]);
  }

  function imageRequests() {
    return world.server.requests.filter(({ path }) => DISK.test(path));
  }

  /** Lets the first transfer stall, and ends the program once so many bytes are known to have been sent or are noted. */
  async function interrupt(signal: NodeJS.Signals, afterBytes: number, notedBytes?: number): Promise<Run> {
    world.server.fault(DISK, { kind: 'stall', afterBytes }, { times: 1 });
    const run = world.startSync('arch=amd64');
    await until(async () => (notedBytes === undefined ? isStalled(afterBytes) : isNoted(notedBytes)));
    run.kill(signal);
    return run.ended;
  }

  /** All that the server sends has been written when nothing more of the volume changes; libvirt writes 1 MiB at a time. */
  async function isStalled(afterBytes: number): Promise<boolean> {
    if (imageRequests()[0]?.bytes !== afterBytes) return false;
    const volume = await stat(world.volumePath(RELEASE, SERIAL)).catch(() => undefined);
    return volume !== undefined && volume.blocks * 512 >= afterBytes - MIB;
  }

  /** The note comes before the volume. */
  async function isNoted(bytes: number): Promise<boolean> {
    const volume = await stat(world.volumePath(RELEASE, SERIAL)).catch(() => undefined);
    return volume !== undefined && (await heldBytes()) === bytes;
  }

  async function heldBytes(): Promise<number> {
    const [intent] = (await openIntentsOf(world)).filter(({ intent: { kind } }) => kind === 'fetch');
    return Number(intent?.notes['heldBytes'] ?? -1);
  }

  async function resumed(...args: readonly string[]) {
    const before = imageRequests().length;
    const { status, stderr } = await world.sync('arch=amd64', ...args);
    if (status !== 0) process.stderr.write(stderr);
    const ranges = imageRequests()
      .slice(before)
      .map(({ headers }) => headers.range);
    return { status, ranges };
  }

  async function expectComplete(): Promise<void> {
    const name = world.volumeName(RELEASE, SERIAL);
    const { volumes, metadata, records } = await aftermathOf(world);
    expect(volumes).to.deep.equal({ [name]: await sha256Of(image) });
    expect({ offered: Object.keys(metadata), status: records[name]?.status }).to.deep.equal({
      offered: [name],
      status: 'active',
    });
    expect(await openIntentsOf(world)).to.deep.equal([]);
  }
});

async function writeAt(path: string, bytes: Uint8Array, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(bytes, 0, bytes.length, offset);
  } finally {
    await file.close();
  }
}
