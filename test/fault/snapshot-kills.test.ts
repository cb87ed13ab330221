import { expect } from 'chai';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { withImages } from '../../src/commands/image-command.ts';
import type { ImageRecord } from '../../src/core/record.ts';
import { readRecords } from '../../src/state/records.ts';
import { openIntentsOf } from '../support/aftermath.ts';
import { inProcess } from '../support/in-process.ts';
import { addPersistent, pathsOf, type PersistentFixture } from '../support/persistent-image.ts';
import { qemuImg, qemuIo } from '../support/qemu.ts';
import { type Snapshot, takeSnapshot } from '../support/snapshot.ts';
import { UNCOVERED, World } from '../support/world.ts';

const KILL_POINTS = fileURLToPath(new URL('./kill-points.js', import.meta.url));
/** All points take minutes; by default those where the image itself is in between, and one of the copy. */
const IS_THOROUGH = process.env['FAULT_ROUNDS'] !== undefined;
const FIRST = 0x61;
const SECOND = 0x62;

/** What is killed, and which contents the image may have after it. */
const OPERATIONS: readonly { readonly words: readonly string[]; readonly legal: readonly number[] }[] = [
  { words: ['create', 'data', 'second'], legal: [SECOND] },
  { words: ['revert', 'data', 'first', '--yes'], legal: [FIRST, SECOND] },
  { words: ['flatten', 'data'], legal: [SECOND] },
];

describe('a change of an image by way of snapshots', () => {
  let world: World;
  let image: PersistentFixture;
  let start: Snapshot;

  /** The image has content `SECOND`, and a snapshot with content `FIRST` that it stands on. */
  before(async () => {
    world = await World.start();
    await world.createPool();
    image = await addPersistent(world, 'data');
    await qemuIo(image.path, `write -P ${FIRST} 0 1M`);
    expect((await world.poolkeeper('snapshot', 'create', 'data', 'first')).stderr).to.equal('');
    await qemuIo(image.path, `write -P ${SECOND} 0 1M`);
    await mkdir(world.metadata, { recursive: true });
    start = await takeSnapshot(world);
  });
  after(() => world.stop());

  for (const { words, legal } of OPERATIONS) {
    it(`loses nothing and is no dead end after SIGKILL at every point of ${words[0]}`, async () => {
      const points = await pointsOf(words);
      const chosen = choose(points);
      const found = new Map<number, number>();
      for (const point of chosen) {
        const context = `killed at point ${point}, ${points[point - 1]}`;
        await start.rewind();
        await killed(point, words);
        await recover(context);
        const content = await contentOf(legal, context);
        found.set(content, (found.get(content) ?? 0) + 1);
        await assertSound(context);
        await assertGoesOn(words, context);
      }
      const contents = [...found].map(([content, times]) => `${String.fromCodePoint(content)} ${times}×`);
      console.log(
        `      killed at ${chosen.length} of ${points.length} points; content after it: ${contents.join(', ')}`,
      );
    }).timeout(20_000 + (IS_THOROUGH ? 1_800_000 : 60_000));
  }

  for (const { words, legal } of OPERATIONS) {
    it(`loses nothing when libvirtd is killed in the middle of ${words[0]}`, async () => {
      const points = await pointsOf(words);
      const deletion = points.findIndex((label) => label.startsWith('after delete')) + 1;
      await start.rewind();
      const child = program(deletion, world.libvirtd.pid, words);
      await restartWhenKilled(child);
      await once(child, 'close');
      await recover('libvirtd killed');
      await contentOf(legal, 'libvirtd killed');
      await assertSound('libvirtd killed');
      await assertGoesOn(words, 'libvirtd killed');
    }).timeout(120_000);
  }

  function program(point: number, pid: number, words: readonly string[]): ChildProcess {
    const args = [KILL_POINTS, String(point), String(pid), 'snapshot', ...words, ...world.options];
    const env = { ...process.env, ...UNCOVERED };
    return spawn(process.execPath, args, { cwd: world.root, env, stdio: ['ignore', 'ignore', 'pipe'] });
  }

  /** The names of all points of an undisturbed run. */
  async function pointsOf(words: readonly string[]): Promise<readonly string[]> {
    await start.rewind();
    const child = program(0, 0, words);
    const labels = child.stderr === null ? '' : await text(child.stderr);
    return labels.split('\n').filter((label) => /^(?:before|after) /.test(label));
  }

  function choose(points: readonly string[]): readonly number[] {
    const all = points.map((_label, index) => index + 1);
    if (IS_THOROUGH) return all;
    const begin = points.indexOf('after begin replace');
    const gone = points.findIndex((label, index) => index > begin && label.startsWith('after delete'));
    return [Math.floor(begin / 2), gone + 1];
  }

  async function killed(point: number, words: readonly string[]): Promise<void> {
    const child = program(point, 0, words);
    child.stderr?.resume();
    const [, signal] = (await once(child, 'close')) as [unknown, NodeJS.Signals | null];
    expect(signal, `point ${point}`).to.equal('SIGKILL');
  }

  /** As soon as it says that it killed libvirtd, a new one is started. */
  async function restartWhenKilled({ stderr }: ChildProcess): Promise<void> {
    for await (const chunk of stderr ?? []) if (String(chunk).includes('killed')) break;
    await world.libvirtd.kill9();
    await world.libvirtd.start();
  }

  /** The next command, whatever it is. */
  async function recover(context: string): Promise<void> {
    const { context: command, options, written } = inProcess(world);
    await withImages(command, options, 'test', async () => undefined);
    expect(written.stderr, context).to.equal('');
  }

  async function contentOf(legal: readonly number[], context: string): Promise<number> {
    for (const pattern of legal) if (await holds(image.path, pattern)) return pattern;
    throw new Error(`${context}: the image has another content`);
  }

  async function holds(path: string, pattern: number): Promise<boolean> {
    return qemuIo(path, `read -P ${pattern} 0 1M`).then(
      () => true,
      () => false,
    );
  }

  async function records(): Promise<ReadonlyMap<string, ImageRecord>> {
    return (await readRecords((await pathsOf(world)).records)).records;
  }

  /** Nothing is under way any more, every image is whole, and the first snapshot is as it was. */
  async function assertSound(context: string): Promise<void> {
    expect(await openIntentsOf(world), context).to.deep.equal([]);
    const volumes = await world.volumes();
    for (const { volumeName, status, identity } of (await records()).values()) {
      expect(['active', 'killed', 'deleted'], `${context}: ${identity.product}`).to.include(status);
      expect(volumes.includes(volumeName), `${context}: ${identity.product}`).to.equal(status !== 'deleted');
      if (status !== 'active') continue;
      const path = image.path.replace(image.volumeName, volumeName);
      expect(await qemuImg('check', path), context).to.include('No errors were found');
      const pattern = identity.product.endsWith('@first') ? FIRST : SECOND;
      if (volumeName !== image.volumeName) expect(await holds(path, pattern), context).to.equal(true);
    }
  }

  /** The same can be done again, unless it was done; then the sweep takes what is left of the first try, and no more. */
  async function assertGoesOn(words: readonly string[], context: string): Promise<void> {
    const { status, stderr } = await world.poolkeeper('snapshot', ...words);
    const isDone = words[0] === 'create' && /has a snapshot 'second' already/.test(stderr);
    expect(isDone ? 0 : status, `${context}: ${stderr}`).to.equal(0);
    const gc = await world.poolkeeper('gc', '--yes', '--allow-mass-removal', '--grace', '0', '--min-age', '0');
    expect({ status: gc.status, stderr: gc.stderr }, context).to.deep.equal({ status: 0, stderr: '' });
    const active = [...(await records()).values()].filter(({ status: now }) => now === 'active');
    expect(await world.volumes(), context).to.deep.equal(active.map(({ volumeName }) => volumeName).sort());
    await contentOf(words[0] === 'revert' ? [FIRST] : [SECOND], context);
  }
});
