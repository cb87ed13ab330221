import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { EXIT, FailureError, IntegrityError, LockedError } from '../../../src/errors.ts';
import { acquireLock } from '../../../src/state/lock.ts';
import { rejection, temporaryDir } from './support.ts';

const OWNER = { command: 'poolkeeper sync', pid: 123, host: 'host1', since: '2026-11-20T19:38:00.000Z' };

describe('acquireLock', () => {
  const at = temporaryDir();

  it('tells others who holds it, since when and what for', async () => {
    const lock = await acquireLock(at('lock'), OWNER);
    const error = await rejection(acquireLock(at('lock'), { ...OWNER, pid: 124 }));
    lock.release();
    expect(error).to.be.instanceOf(LockedError);
    expect(error).to.include({
      message: 'pool state is locked by pid 123 on host1 since 2026-11-20T19:38:00.000Z (poolkeeper sync)',
      exitStatus: EXIT.locked,
      hint: 'wait until it is done, or stop it',
    });
  });

  it('can be taken again after it was released, and then names nobody', async () => {
    (await acquireLock(at('lock'), OWNER)).release();
    expect(await readFile(at('lock'), 'utf8')).to.equal('');
    (await acquireLock(at('lock'), OWNER)).release();
  });

  it('does not heed what a dead holder left, however long', async () => {
    await writeFile(at('lock'), 'x'.repeat(10_000));
    const lock = await acquireLock(at('lock'), OWNER);
    expect(JSON.parse(await readFile(at('lock'), 'utf8'))).to.deep.equal(OWNER);
    lock.release();
  });

  for (const content of ['', '{', '{"pid":"1"}', '\0'.repeat(5000)]) {
    it(`refuses without a name when the file holds ${JSON.stringify(content.slice(0, 12))}`, async () => {
      const lock = await acquireLock(at('lock'), OWNER);
      await writeFile(at('lock'), content);
      const error = await rejection(acquireLock(at('lock'), OWNER));
      lock.release();
      expect(error).to.be.instanceOf(LockedError);
      expect(error.message).to.equal('pool state is locked by another process');
    });
  }

  it('locks the file that is there, not one that was removed', async () => {
    const former = await acquireLock(at('lock'), OWNER);
    await rm(at('lock'));
    const lock = await acquireLock(at('lock'), OWNER);
    expect(await rejection(acquireLock(at('lock'), OWNER))).to.be.instanceOf(LockedError);
    former.release();
    lock.release();
  });

  it('refuses what is not a regular file, and follows no symbolic link', async () => {
    await writeFile(at('target'), 'precious');
    await symlink(at('target'), at('link'));
    await mkdir(at('dir'));
    execFileSync('mkfifo', [at('fifo')]);
    expect(await rejection(acquireLock(at('link'), OWNER))).to.be.instanceOf(IntegrityError);
    expect(await rejection(acquireLock(at('fifo'), OWNER))).to.be.instanceOf(IntegrityError);
    expect(await rejection(acquireLock(at('dir'), OWNER))).to.be.instanceOf(FailureError);
    expect(await readFile(at('target'), 'utf8')).to.equal('precious');
  });

  it('names the file when its directory is missing', async () => {
    const error = await rejection(acquireLock(at('none', 'lock'), OWNER));
    expect(error.message).to.equal(`cannot open lock file '${at('none', 'lock')}': ENOENT`);
  });
});
