import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { readRecords } from '../../src/state/records.ts';
import { openIntentsOf, sha256Of, stateOf } from '../support/aftermath.ts';
import { type Snapshot, takeSnapshot } from '../support/snapshot.ts';
import { UNCOVERED, World } from '../support/world.ts';

const run = promisify(execFile);
const KILL_POINTS = fileURLToPath(new URL('./kill-points.js', import.meta.url));
const GC = ['gc', '--yes', '--allow-mass-removal', '--grace', '0', '--min-age', '0'];

/** A command that moves a file, and what must be so after it was begun anew, whenever it was killed. */
interface Case {
  readonly title: string;
  readonly words: (old: string) => readonly string[];
  /** Whether the image has been deleted before. */
  readonly isDeleted: boolean;
  readonly isNamed?: boolean;
  readonly ends: 'in the trash' | 'in the pool' | 'gone';
}

const CASES: readonly Case[] = [
  { title: 'a deletion', words: () => GC, isDeleted: false, ends: 'in the trash' },
  { title: 'a rescue', words: () => GC, isDeleted: true, isNamed: true, ends: 'in the pool' },
  { title: 'undo', words: (old) => ['undo', old], isDeleted: true, ends: 'in the pool' },
  { title: 'emptying', words: () => ['gc', '--empty-trash', '--yes'], isDeleted: true, ends: 'gone' },
];

describe('SIGKILL at every step of the trash', () => {
  let world: World;
  let start: Snapshot;
  let old: string;
  let content: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.holdVersions('noble', ['20240401', '20240402']);
    old = world.volumeName('noble', '20240401');
    content = await sha256Of(join(world.poolPath, old));
    start = await takeSnapshot(world);
  });
  after(() => world.stop());

  for (const { title, words, isDeleted, isNamed = false, ends } of CASES)
    it(`loses nothing in ${title}, and the next run ends it [B1] [B2]`, async () => {
      const rewind = async (): Promise<void> => {
        await start.rewind();
        if (isDeleted) await world.poolkeeper(...GC);
        if (isNamed) await world.define('web1', { path: join(world.poolPath, old) });
      };
      await rewind();
      const points = await pointsOf(words(old));
      expect(points.filter((label) => label.includes('trash'))).not.to.deep.equal([]);
      for (const [index, label] of points.entries()) {
        if (label.includes('refresh')) continue;
        await rewind();
        await killAt(index + 1, words(old));
        const context = `${title}, killed at ${index + 1}: ${label}`;
        const [left] = await copies();
        if (ends !== 'gone') expect(left === undefined ? undefined : await sha256Of(left), context).to.equal(content);
        const again = await world.poolkeeper(...words(old));
        // What was ended already may have nothing left to do.
        expect(again.status, `${context}: ${again.stderr}`).to.be.oneOf(title === 'undo' ? [0, 1, 4] : [0]);
        await assertEnd(ends, context);
      }
      console.log(`      ${title}: killed at ${points.join(', ')}`);
    }).timeout(600_000);

  async function assertEnd(ends: Case['ends'], context: string): Promise<void> {
    const { records } = await readRecords(join(await stateOf(world), 'records'));
    const isHere = existsSync(join(world.poolPath, old));
    const notes = await readdir(join(await stateOf(world), 'trash'));
    const found = { isHere, copies: (await copies()).length, notes: notes.length, status: records.get(old)?.status };
    expect(found, context).to.deep.equal({
      isHere: ends === 'in the pool',
      copies: ends === 'gone' ? 0 : 1,
      notes: ends === 'in the trash' ? 1 : 0,
      status: ends === 'in the pool' ? 'active' : 'deleted',
    });
    expect(await openIntentsOf(world), context).to.deep.equal([]);
  }

  /** Where the image's file lies. */
  async function copies(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const name of await readdir(world.libvirtd.root)) {
      if (name !== 'images' && !name.startsWith('.poolkeeper-trash-')) continue;
      const folder = join(world.libvirtd.root, name);
      for (const path of await readdir(folder, { recursive: true }))
        if (path.endsWith(old)) found.push(join(folder, path));
    }
    return found;
  }

  async function pointsOf(words: readonly string[]): Promise<readonly string[]> {
    const { stderr } = await run(process.execPath, [KILL_POINTS, '0', '0', ...words, ...world.options], { env: env() });
    return stderr.split('\n').filter((line) => /^(?:before|after) /.test(line));
  }

  async function killAt(point: number, words: readonly string[]): Promise<void> {
    const args = [KILL_POINTS, String(point), '0', ...words, ...world.options];
    const ended = await run(process.execPath, args, { env: env() }).then(
      () => undefined,
      ({ signal }: { signal?: string }) => signal,
    );
    expect(ended, `point ${point}`).to.equal('SIGKILL');
  }

  function env(): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'], HOME: world.root, NO_COLOR: '1', POOLKEEPER_CONFIG: '/dev/null', ...UNCOVERED };
  }
});
