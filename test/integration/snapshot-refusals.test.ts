import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withImages } from '../../src/commands/image-command.ts';
import { createSnapshot } from '../../src/commands/snapshot-create.ts';
import { deleteSnapshot } from '../../src/commands/snapshot-delete.ts';
import { flattenSnapshots } from '../../src/commands/snapshot-flatten.ts';
import { revertSnapshot } from '../../src/commands/snapshot-revert.ts';
import { EXIT, InterruptedError, PoolkeeperError } from '../../src/errors.ts';
import { readRecords, writeRecord } from '../../src/state/records.ts';
import { openIntentsOf } from '../support/aftermath.ts';
import { inProcess } from '../support/in-process.ts';
import { addPersistent, pathsOf, type PersistentFixture } from '../support/persistent-image.ts';
import { createQcow2, domainXml, qemuImg, qemuIo } from '../support/qemu.ts';
import { rejection } from '../support/rejection.ts';
import { World } from '../support/world.ts';

describe('snapshots of an image that is not fit for them, or in use', () => {
  let world: World;
  let image: PersistentFixture;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());
  beforeEach(async () => {
    await world.reset();
    image = await addPersistent(world, 'data');
  });

  type Change = Parameters<typeof withImages>[3];
  const create =
    (name: string): Change =>
    (session, images) =>
      createSnapshot(session, images, { image: 'data', name });
  const revert =
    (name: string): Change =>
    (session, images) =>
      revertSnapshot(session, images, { image: 'data', name, yes: true, dryRun: false });
  const remove =
    (name: string, now = false): Change =>
    (session, images) =>
      deleteSnapshot(session, images, { image: 'data', name, now });
  const flatten: Change = (session, images) => flattenSnapshots(session, images, { image: 'data' });

  async function run(change: Change): Promise<string> {
    const { context, options, written } = inProcess(world);
    await withImages(context, options, 'test', change);
    return written.stdout;
  }

  /** How a change is refused, having changed nothing that lasts. */
  async function refusal(change: Change): Promise<PoolkeeperError> {
    const volumes = async () => Object.entries(await world.tree()).filter(([path]) => path.startsWith(world.poolPath));
    const before = await volumes();
    try {
      await run(change);
    } catch (error) {
      if (!(error instanceof PoolkeeperError)) throw error;
      expect(await volumes()).to.deep.equal(before);
      return error;
    }
    throw new Error('it was not refused');
  }

  async function expectRefusals(exitStatus: number, words: RegExp, changes: readonly Change[]): Promise<void> {
    for (const change of changes) {
      const error = await refusal(change);
      expect(error.message).to.match(words);
      expect(error.exitStatus, error.message).to.equal(exitStatus);
      expect(error.hint, error.message).to.be.a('string');
    }
  }

  const all = [create('next'), revert('first'), flatten] as const;

  /** An image that can be reverted and flattened. */
  async function withFirst(): Promise<void> {
    await run(create('first'));
    await qemuIo(image.path, 'write -P 0x62 0 64k');
  }

  it('are refused while a domain runs on it', async () => {
    await withFirst();
    await world.define('web1', { path: image.path });
    await world.libvirtd.virsh('start', '--paused', 'web1');
    try {
      await expectRefusals(EXIT.inUse, /^cannot change image data while it is in use:\n {2}domain web1, live XML/, all);
    } finally {
      await world.libvirtd.virsh('destroy', 'web1');
    }
  });

  it('are refused while a process has it open', async () => {
    await withFirst();
    const file = await open(image.path);
    const holder = spawn('sleep', ['60'], { stdio: [file.fd, 'ignore', 'ignore'] });
    await file.close();
    try {
      await expectRefusals(EXIT.inUse, /\n {2}process \d+ \(sleep\)/, all);
    } finally {
      holder.kill();
      await once(holder, 'exit');
    }
  });

  it('are refused when something stands on it', async () => {
    await withFirst();
    const clone = join(world.poolPath, 'clone.qcow2');
    await createQcow2(clone, { sizeBytes: 4 * 2 ** 20, backing: image.path });
    await world.libvirtd.give(clone);
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    await expectRefusals(EXIT.inUse, /volume uvtool\/clone\.qcow2 stands on it$/, all);
  });

  it('are refused when the domain has a saved state, snapshots of libvirt, or says itself what the image stands on', async () => {
    await withFirst();
    const path = join(world.root, 'web1.xml');
    const define = async (change: (xml: string) => string): Promise<void> => {
      await writeFile(path, change(domainXml({ name: 'web1', disks: [{ path: image.path }] })));
      await world.libvirtd.virsh('undefine', 'web1').catch(() => undefined);
      await world.libvirtd.virsh('define', path);
    };
    await define((xml) => xml.replace('<target dev=', '<backingStore/><target dev='));
    await expectRefusals(EXIT.inUse, /domain web1, inactive XML: says itself what the image stands on$/, all);
    await define((xml) => xml.replace("type='qcow2'", "type='raw'"));
    await expectRefusals(EXIT.inUse, /domain web1, inactive XML: opens it as raw bytes$/, all);
    await define((xml) => xml);
    await run(create('second'));
    const snapshotXml = `<domainsnapshot><name>old</name><state>shutoff</state>${await readFile(path, 'utf8')}</domainsnapshot>`;
    await writeFile(join(world.root, 'old.xml'), snapshotXml);
    await world.libvirtd.virsh('snapshot-create', 'web1', join(world.root, 'old.xml'), '--disk-only');
    await world.libvirtd.virsh('destroy', 'web1').catch(() => undefined);
    await expectRefusals(EXIT.inUse, /^ {2}domain web1, snapshot old$/m, [create('third'), flatten]);
    await world.libvirtd.virsh('snapshot-delete', 'web1', 'old', '--metadata');
  });

  it('are refused for what would be lost with a copy', async () => {
    await qemuImg('snapshot', '-c', 'inner', image.path);
    await expectRefusals(EXIT.failure, /it has 1 internal snapshot\(s\) of QEMU, which would be lost$/, [create('a')]);
    await writeFile(image.path, Buffer.alloc(4096));
    await expectRefusals(EXIT.failure, /it is not a qcow2 image$/, [create('a')]);
  });

  it('are refused for an image that is not persistent, for a name that is taken or none, and for what is not there', async () => {
    await run(create('first'));
    await expectRefusals(EXIT.failure, /^image data has a snapshot 'first' already$/, [create('first')]);
    await expectRefusals(EXIT.usage, /cannot be the name of a snapshot$/, [create('a/b')]);
    await expectRefusals(EXIT.noMatch, /^image data has no snapshot 'fist'$/, [revert('fist'), remove('fist')]);
    await writeRecord((await pathsOf(world)).records, { ...image.record, traits: { type: 'os', isPersistent: false } });
    await expectRefusals(EXIT.failure, /it is not persistent/, [create('second'), flatten]);
  });

  it('cannot be deleted while the image or another one stands on them, and can be taken back until the sweep', async () => {
    await run(create('first'));
    await run(create('second'));
    await expectRefusals(EXIT.inUse, /^cannot delete snapshot 'second': image data stands on it$/, [remove('second')]);
    await expectRefusals(EXIT.inUse, /^cannot delete snapshot 'first' of image data: 'second' stand on it$/, [
      remove('first'),
    ]);
    await run(revert('first'));
    expect(await run(remove('second'))).to.equal("snapshot 'second' of image data waits for its deletion\n");
    await expectRefusals(EXIT.failure, /^snapshot 'second' of image data waits for its deletion$/, [revert('second')]);
    expect((await world.poolkeeper('undo')).stdout).to.match(/^took image local:data@second \S+ back\n$/);
    expect(await run(remove('second', true))).to.match(/^deleted image local:data@second \S+ \(/);
    expect(await world.volumes()).to.have.lengthOf(2);
  });

  it('have no metadata file, and neither gc nor purge takes them', async () => {
    await run(create('first'));
    await run(create('second'));
    await run(revert('first'));
    const names = await world.volumes();
    for (const words of [
      ['gc', '--yes', '--allow-mass-removal', '--keep-versions', '1', '--grace', '0', '--min-age', '0'],
      ['purge', '--yes', '--force-in-use'],
    ]) {
      const { stderr } = await world.poolkeeper(...words);
      expect(stderr, words[0]).to.equal('');
      expect(await world.volumes(), words[0]).to.deep.equal(names);
    }
    expect(await readdir(world.metadata)).to.deep.equal([image.volumeName]);
    const { records } = await readRecords((await pathsOf(world)).records);
    expect([...records.values()].map(({ status }) => status)).to.deep.equal(['active', 'active', 'active']);
  });

  it('leave the image as it was when they are interrupted or there is no room, and garbage that gc takes', async () => {
    await qemuIo(image.path, 'write -P 0x61 0 2M');
    const before = await stat(image.path);
    const stop = new AbortController();
    const watcher = watch(world.poolPath, () => stop.abort(new InterruptedError('stopped by SIGINT')));
    const { context, options } = inProcess(world);
    const interrupted = withImages({ ...context, signal: stop.signal }, options, 'test', create('first'));
    expect(await rejection(interrupted)).to.be.instanceOf(InterruptedError);
    watcher.close();
    expect(await stat(image.path)).to.include({ ino: before.ino, mtimeMs: before.mtimeMs, size: before.size });
    expect(await openIntentsOf(world)).to.deep.equal([]);
    expect(await world.volumes()).to.have.lengthOf(2);
    await world.poolkeeper('gc', '--yes', '--allow-mass-removal', '--grace', '0', '--min-age', '0');
    expect(await world.volumes()).to.deep.equal([image.volumeName]);
    const base = join(world.libvirtd.root, 'base.qcow2');
    await createQcow2(base, { sizeBytes: 2 ** 46 });
    await world.libvirtd.give(base);
    await createQcow2(image.path, { sizeBytes: 2 ** 46, backing: base });
    await world.libvirtd.give(image.path);
    await expectRefusals(EXIT.noSpace, /^cannot flatten image data: it needs 128 TiB, and .* are free$/, [flatten]);
  });

  it('have nothing to do for an image that stands on nothing, or is as it was', async () => {
    expect(await run(flatten)).to.equal('image data stands on nothing already\n');
    await run(create('first'));
    expect(await run(revert('first'))).to.equal("image data is as it was at snapshot 'first' already\n");
  });
});
