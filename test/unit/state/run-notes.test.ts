import { expect } from 'chai';
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunNote } from '../../../src/core/run-note.ts';
import { readRunNotes, writeRunNote } from '../../../src/state/run-notes.ts';
import { temporaryDir, UID } from './support.ts';

const SYNC: RunNote = {
  command: 'sync',
  pool: 'uvtool',
  startedAt: 1000,
  endedAt: 2000,
  exitStatus: 0,
  succeededAt: 2000,
  failures: { source: 2 },
};

describe('notes of runs', () => {
  const at = temporaryDir();

  it('are one for each command and pool, the last one', async () => {
    const state = at('state');
    const failed = { ...SYNC, endedAt: 3000, exitStatus: 11 };
    const gc = { ...SYNC, command: 'gc', succeededAt: undefined, exitStatus: 13, failures: {} };
    for (const note of [SYNC, failed, gc, { ...SYNC, pool: 'other/..' }]) await writeRunNote(state, note, UID);
    expect(await readRunNotes(state, 'uvtool')).to.have.deep.members([failed, gc]);
    expect(await readRunNotes(state, 'other/..')).to.deep.equal([{ ...SYNC, pool: 'other/..' }]);
    expect(await readdir(join(state, 'runs'))).to.have.lengthOf(3);
  });

  it('are none where there is no directory, and damaged ones do not count', async () => {
    expect(await readRunNotes(at('none'), 'uvtool')).to.deep.equal([]);
    await writeRunNote(at(), SYNC, UID);
    const [name = ''] = await readdir(at('runs'));
    await writeFile(at('runs', name), '{"formatVersion":1,');
    expect(await readRunNotes(at(), 'uvtool')).to.deep.equal([]);
  });

  it('make no state directory for a run that failed', async () => {
    const state = at('state');
    await writeRunNote(state, { ...SYNC, exitStatus: 10 }, UID);
    expect(existsSync(state)).to.equal(false);
  });
});
