import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { encodeMetadataName } from '../../src/core/identity.ts';
import type { ImageRecord } from '../../src/core/record.ts';
import { readRecords } from '../../src/state/records.ts';
import { openIntentsOf, stateOf } from '../support/aftermath.ts';
import { createQcow2, qemuImg, qemuIo } from '../support/qemu.ts';
import { type Snapshot, takeSnapshot } from '../support/snapshot.ts';
import { UNCOVERED, World } from '../support/world.ts';

const KILL_POINTS = fileURLToPath(new URL('./kill-points.js', import.meta.url));
/** The first and the last of each kind of point take minutes; by default there are some. */
const IS_THOROUGH = process.env['FAULT_ROUNDS'] !== undefined;
const GC = ['gc', '--yes', '--allow-mass-removal', '--grace', '0', '--min-age', '0'];

describe('SIGKILL', () => {
  let world: World;
  let start: Snapshot;
  let raw: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    raw = join(world.root, 'disk.raw');
    const disk = Buffer.alloc(4 * 2 ** 20, 'golden image ');
    disk.write('\x55\xaa', 510, 'latin1');
    await writeFile(raw, disk);
    await qemuImg('convert', '-f', 'raw', '-O', 'vmdk', raw, join(world.root, 'disk.vmdk'));
    await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', raw, join(world.root, 'disk.qcow2'));
    await world.poolkeeper('import', join(world.root, 'disk.qcow2'), '--name', 'base', '--tag', 'release=base');
    const overlay = join(world.poolPath, 'overlay.qcow2');
    const [base = ''] = (await world.volumes()).filter((name) => name.startsWith('x-uvt-'));
    await createQcow2(overlay, { sizeBytes: 4 * 2 ** 20, backing: base });
    await qemuIo(overlay, 'write -P 0x61 1M 1M');
    await world.libvirtd.give(overlay);
    start = await takeSnapshot(world);
  });
  after(() => world.stop());

  for (const [name, chosen] of [
    ['disk.vmdk', ['after create', 'before refresh', 'before begin publish']],
    ['disk.qcow2', ['before done']],
  ] as const)
    it(`at any point of an import of ${name} offers nothing that is not whole, and is no dead end`, async () => {
      const words = ['import', join(world.root, name), '--name', 'golden'];
      await forEachPoint(words, chosen, async (context) => {
        // What comes next, whatever it is.
        expect(await world.poolkeeper('create', '--name', 'next', '--size', '1M'), context).to.include({ status: 0 });
        await assertSound(context);
        const again = await world.poolkeeper(...words);
        const isThere = /exists already: its status is active/.test(again.stderr);
        expect(isThere ? 0 : again.status, `${context}: ${again.stderr}`).to.equal(0);
        expect(await world.poolkeeper(...GC), context).to.deep.include({ status: 0, stderr: '' });
        await assertSound(context);
        const names = [...(await active()).map(({ volumeName }) => volumeName), 'overlay.qcow2'];
        expect(await world.volumes(), context).to.deep.equal(names.sort());
        expect(names, context).to.have.lengthOf(4);
      });
    }).timeout(IS_THOROUGH ? 3_600_000 : 120_000);

  for (const [image, source, chosen] of [
    ['release=base', 'disk.qcow2', ['after write to']],
    ['overlay.qcow2', 'images/overlay.qcow2', ['before delete']],
  ] as const)
    it(`at any point of a full clone of ${image} leaves nothing that looks whole and is not`, async () => {
      const words = ['clone', '--full', '--any', image, 'web1'];
      await forEachPoint(words, chosen, async (context) => {
        const path = join(world.poolPath, 'web1');
        const original = source.startsWith('images/') ? join(world.libvirtd.root, source) : join(world.root, source);
        if (await exists(path)) {
          const { format } = JSON.parse(await qemuImg('info', '--output=json', path)) as { format: string };
          if (format === 'qcow2') await qemuImg('compare', '-q', path, original);
          else
            expect(
              await readFile(path).then((bytes) => bytes.subarray(0, 65_536).every((byte) => byte === 0)),
            ).to.equal(true);
        }
        const other = await world.poolkeeper('clone', '--full', '--any', image, 'web2');
        expect([other.status, other.stderr], context).to.deep.equal([0, '']);
        await qemuImg('compare', '-q', join(world.poolPath, 'web2'), original);
        expect(await world.poolkeeper(...GC), context).to.deep.include({ status: 0, stderr: '' });
        await assertSound(context);
      });
    }).timeout(IS_THOROUGH ? 3_600_000 : 120_000);

  /** Kills the program at each of its points, or at the first of each that was chosen, and looks what can be done then. */
  async function forEachPoint(
    words: readonly string[],
    chosen: readonly string[],
    look: (context: string) => Promise<void>,
  ): Promise<void> {
    await start.rewind();
    const labels = (await run(0, words)).split('\n').filter((label) => /^(?:before|after) /.test(label));
    const isEdge = (label: string, index: number) => [labels.indexOf(label), labels.lastIndexOf(label)].includes(index);
    const all = labels.flatMap((label, index) => (isEdge(label, index) ? [index] : []));
    const some = chosen.map((label) => labels.findIndex((each) => each.startsWith(label)));
    expect(some, labels.join('\n')).not.to.include(-1);
    const points = IS_THOROUGH ? all : some;
    for (const index of points) {
      await start.rewind();
      await run(index + 1, words);
      await look(`killed at point ${index + 1}, ${labels[index]}`);
    }
    console.log(`      killed at ${points.length} of ${labels.length} points`);
  }

  async function run(point: number, words: readonly string[]): Promise<string> {
    const args = [KILL_POINTS, String(point), '0', ...words, ...world.options];
    const env = { ...process.env, ...UNCOVERED };
    const child = spawn(process.execPath, args, { cwd: world.root, env, stdio: ['ignore', 'ignore', 'pipe'] });
    const [errors, [status, signal]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    expect(point === 0 ? status : signal, errors).to.equal(point === 0 ? 0 : 'SIGKILL');
    return errors;
  }

  async function active(): Promise<readonly ImageRecord[]> {
    const { records } = await readRecords(join(await stateOf(world), 'records'));
    return [...records.values()].filter(({ status }) => status === 'active');
  }

  /** Nothing is under way any more; what is active is offered and whole, and nothing else is offered. */
  async function assertSound(context: string): Promise<void> {
    expect(await openIntentsOf(world), context).to.deep.equal([]);
    const { records } = await readRecords(join(await stateOf(world), 'records'));
    for (const { identity, volumeName, status, provenance } of records.values()) {
      expect(['active', 'killed', 'deleted'], `${context}: ${identity.product}`).to.include(status);
      const isOffered = await exists(join(world.metadata, encodeMetadataName(identity)));
      expect(isOffered, `${context}: ${identity.product}`).to.equal(status === 'active');
      if (status !== 'active') continue;
      const path = join(world.poolPath, volumeName);
      const hex = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
      expect(hex, `${context}: ${identity.product}`).to.equal(provenance.digest?.hex);
      if (identity.product !== 'local:next') await qemuImg('compare', '-q', '-f', 'raw', '-F', 'qcow2', raw, path);
    }
  }
});

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
