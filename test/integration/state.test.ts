import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { LockedError } from '../../src/errors.ts';
import { removeTemporaryFiles } from '../../src/state/atomic-file.ts';
import { openJournal, readOpenIntents } from '../../src/state/journal.ts';
import { acquireLock } from '../../src/state/lock.ts';
import { readMetadataFiles, removeMetadataStaging } from '../../src/state/metadata-files.ts';

const VICTIM = fileURLToPath(new URL('state-victim.js', import.meta.url));
const KILLS = 30;

describe('state on disk', () => {
  let dir = '';
  const victims = new Set<ChildProcess>();

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'poolkeeper-kill-'));
  });
  afterEach(async () => {
    for (const victim of victims) victim.kill('SIGKILL');
    victims.clear();
    await rm(dir, { recursive: true, force: true });
  });

  /** Runs a victim, kills it as soon as it has said `lines` lines, and returns all that it said until it was dead. */
  async function killAfter(lines: number, role: string, path: string): Promise<string[]> {
    const victim = spawn(process.execPath, [VICTIM, role, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    victims.add(victim);
    const dead = once(victim, 'exit');
    const said: string[] = [];
    for await (const line of createInterface({ input: victim.stdout })) {
      said.push(line);
      if (said.length === lines) victim.kill('SIGKILL');
    }
    expect(await dead, said.join()).to.deep.equal([null, 'SIGKILL']);
    victims.delete(victim);
    return said;
  }

  it('holds the old file or the new one after every kill, and never less than was acknowledged', async () => {
    const path = join(dir, 'file');
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const said = await killAfter((kill % 7) + 1, 'atomic', path);
      const text = await readFile(path, 'latin1');
      const acknowledged = Number(said.at(-1));
      expect(text.length).to.equal(256 * 1024);
      expect(text).to.equal(text.charAt(0).repeat(text.length));
      expect([acknowledged, (acknowledged + 1) % 10]).to.include(Number(text.charAt(0)));
    }
    await removeTemporaryFiles(dir);
    expect(await readdir(dir)).to.deep.equal(['file']);
  });

  it('never shows uvtool a stray or damaged metadata file, whenever the writer is killed', async () => {
    for (let kill = 1; kill <= 12; kill += 1) {
      const said = await killAfter((kill % 7) + 1, 'metadata', dir);
      const { files, undecodable, unreadable } = await readMetadataFiles(dir);
      const acknowledged = Number(said.at(-1));
      expect([undecodable, unreadable, files.length]).to.deep.equal([[], [], 1]);
      expect([acknowledged, acknowledged + 1]).to.include(Number(files[0]?.item['round']));
    }
    await removeMetadataStaging(dir);
    expect(await readdir(dir)).to.have.length(1);
  });

  it('keeps the journal readable, and every intent that may have started, after every kill', async () => {
    const path = join(dir, 'journal');
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const said = await killAfter((kill % 11) + 1, 'journal', path);
      const open = new Set((await readOpenIntents(path)).map(({ id }) => `${id}`));
      const begun = said.filter((line) => line.startsWith('begin ')).map((line) => line.slice('begin '.length));
      const closing = new Set(
        said.filter((line) => line.startsWith('closing ')).map((line) => line.slice('closing '.length)),
      );
      expect(begun.filter((id) => !closing.has(id) && !open.has(id))).to.deep.equal([]);
    }
    const journal = await openJournal(path);
    for (const { id } of journal.openIntents()) await journal.done(id);
    expect(journal.openIntents()).to.deep.equal([]);
    await journal.close();
  });

  it('survives writes that end half-way: nothing torn stays, and what still fits is written', async () => {
    const path = join(dir, 'journal');
    await writeFile(`${path}.file`, 'old');
    const command = ['--fsize=1024', process.execPath, VICTIM, 'limited', path];
    const { stdout, stderr } = spawnSync('prlimit', command, { encoding: 'utf8' });
    expect(stderr).to.equal('');
    expect(stdout.split('\n')).to.deep.equal([
      `FailureError: cannot write journal '${path}': EFBIG`,
      `FailureError: cannot write '${path}.file': EFBIG`,
      '',
    ]);
    const open = await readOpenIntents(path);
    expect(open.map(({ id }) => id)).to.deep.equal(open.map((_, index) => index + 2));
    expect(open).to.have.length.greaterThan(1);
    expect(await readFile(`${path}.file`, 'utf8')).to.equal('old');
    expect(await readdir(dir)).to.have.members(['journal', 'journal.file']);
  });

  it('is locked by one process at a time, and free as soon as the holder is killed', async () => {
    const path = join(dir, 'lock');
    const victim = spawn(process.execPath, [VICTIM, 'lock', path], { stdio: ['ignore', 'pipe', 'inherit'] });
    victims.add(victim);
    await once(victim.stdout, 'data');
    const owner = { command: 'poolkeeper gc', pid: process.pid, host: 'host1', since: '2026-11-20T19:39:00Z' };
    const error: unknown = await acquireLock(path, owner).catch((refusal: unknown) => refusal);
    expect(error).to.be.instanceOf(LockedError);
    expect(error).to.include({
      message: `pool state is locked by pid ${victim.pid} on host1 since 2026-11-20T19:38:00Z (poolkeeper sync)`,
    });
    victim.kill('SIGKILL');
    await once(victim, 'exit');
    const lock = await acquireLock(path, owner);
    expect(JSON.parse(await readFile(path, 'utf8'))).to.deep.equal(owner);
    lock.release();
  });

  it('does not pass the lock on to child processes', async () => {
    const path = join(dir, 'lock');
    const owner = { command: 'poolkeeper sync', pid: process.pid, host: 'host1', since: '2026-11-20T19:39:00Z' };
    const lock = await acquireLock(path, owner);
    const child = spawn('cat', [], { stdio: ['pipe', 'ignore', 'inherit'] });
    victims.add(child);
    await once(child, 'spawn');
    // Closed without unlocking, as by a death: only a descriptor that the child inherited could still hold it.
    lock.release();
    (await acquireLock(path, owner)).release();
    child.stdin.end();
    await once(child, 'exit');
  });
});
