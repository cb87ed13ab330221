import { expect } from 'chai';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Aftermath, aftermathOf, stateOf } from '../support/aftermath.ts';
import { createQcow2, qemuImg } from '../support/qemu.ts';
import { type Snapshot, takeSnapshot } from '../support/snapshot.ts';
import { type RunningProgram, startProgram, World } from '../support/world.ts';
import { killAtLine, linesOf } from './upgrade-host.ts';

const DAYS = ['20240401', '20240402', '20240403', '20240404', '20240405'] as const;
/** Stands on 20240402, and belongs to the images as well. */
const OVERLAY = '20240402.1';

describe('a gc that deletes four volumes, of which one stands on another', () => {
  let world: World;
  let snapshot: Snapshot;
  let expected: Aftermath;
  let journal: string;
  let journalLines: number;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.holdVersions('noble', DAYS);
    const overlay = world.volumePath('noble', OVERLAY);
    const base = world.volumeName('noble', '20240402');
    await qemuImg('create', '-q', '-f', 'qcow2', '-u', '-b', base, '-F', 'qcow2', overlay, '1M');
    await world.libvirtd.give(overlay);
    journal = join(await stateOf(world), 'journal');
    // What is done is dropped when a journal is opened; without it every line that comes is one of this run.
    const [header = ''] = (await readFile(journal, 'utf8')).split('\n');
    await writeFile(journal, `${header}\n`);
    snapshot = await takeSnapshot(world);
    await rewind();
    const { status, stderr } = await startGc().ended;
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    expected = await aftermathOf(world);
    journalLines = linesOf(await readFile(journal, 'utf8'));
  });
  after(() => world.stop());

  it('deletes these and nothing else when it is left alone', () => {
    expect(Object.keys(expected.volumes).sort()).to.deep.equal(
      [...['20240401', '20240405'].map((day) => world.volumeName('noble', day)), 'web1.qcow2'].sort(),
    );
  });

  it('comes to the same end after SIGKILL at every line of its journal, and loses nothing in use', async () => {
    const reached = new Set<number>();
    for (let line = 2; line <= journalLines; line += 1) {
      await rewind();
      reached.add(await killAtLine(startGc(), journal, line));
      const left = await world.volumes();
      expect(left, `killed at line ${line}`).to.include.members(Object.keys(expected.volumes));
      if (left.includes(world.volumeName('noble', OVERLAY)))
        expect(left, `killed at line ${line}`).to.include(world.volumeName('noble', '20240402'));
      const { status, stderr } = await startGc().ended;
      expect({ status, stderr }, `killed at line ${line}`).to.deep.equal({ status: 0, stderr: '' });
      expect(await aftermathOf(world), `killed at line ${line}`).to.deep.equal(expected);
    }
    console.log(`      killed ${journalLines - 1} times, at lines ${[...reached].join(', ')}`);
  }).timeout(180_000);

  /** Domain web1 stands on the oldest image. */
  async function rewind(): Promise<void> {
    await snapshot.rewind();
    const disk = join(world.poolPath, 'web1.qcow2');
    await createQcow2(disk, { sizeBytes: 2 ** 20, backing: world.volumeName('noble', '20240401') });
    await world.libvirtd.give(disk);
    await world.define('web1', { path: disk });
  }

  function startGc(): RunningProgram {
    const words = ['gc', '--yes', '--allow-mass-removal', '--grace', '0', '--min-age', '0', '--keep-versions', '1'];
    return startProgram([...words, ...world.options], world.root);
  }
});
