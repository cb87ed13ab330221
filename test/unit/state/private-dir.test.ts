import { chmod, chown, link, mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { IntegrityError } from '../../../src/errors.ts';
import { assertPrivateFile, ensurePrivateDir } from '../../../src/state/private-dir.ts';
import { rejection, temporaryDir, UID } from './support.ts';

describe('ensurePrivateDir', () => {
  const at = temporaryDir();

  it('makes the directory and its parents, closed to others', async () => {
    await ensurePrivateDir(at('a', 'b'), { uid: UID });
    expect((await stat(at('a', 'b'))).mode & 0o027).to.equal(0);
  });

  it('makes it with its mode whatever the umask is, and inherits the group of the books', async () => {
    await mkdir(at('books'));
    if (UID === 0) await chown(at('books'), -1, 12);
    await chmod(at('books'), 0o2770);
    const before = process.umask(0o077);
    try {
      await ensurePrivateDir(at('books', 'pools'), { uid: UID, mode: 0o770 });
    } finally {
      process.umask(before);
    }
    const { mode, gid } = await stat(at('books', 'pools'));
    expect(mode & 0o7777).to.equal(0o2770);
    expect(gid).to.equal((await stat(at('books'))).gid);
  });

  it('takes a directory that is there as it is', async () => {
    await mkdir(at('dir'), { mode: 0o700 });
    await ensurePrivateDir(at('dir'), { uid: UID });
    expect((await stat(at('dir'))).mode & 0o777).to.equal(0o700);
  });

  it('refuses a symbolic link, with a trailing slash too', async () => {
    await mkdir(at('target'));
    await symlink(at('target'), at('link'));
    for (const path of [at('link'), `${at('link')}/`]) {
      const error = await rejection(ensurePrivateDir(path, { uid: UID }));
      expect(error).to.be.instanceOf(IntegrityError);
      expect(error.message).to.equal(`cannot use '${at('link')}': it is not a directory`);
      expect(error.hint).to.contain('symbolic link');
    }
  });

  it('refuses a file', async () => {
    await writeFile(at('file'), '');
    expect(await rejection(ensurePrivateDir(at('file'), { uid: UID }))).to.be.instanceOf(IntegrityError);
  });

  for (const mode of [0o777, 0o1777, 0o752]) {
    it(`refuses mode ${mode.toString(8)}, with which others can plant files`, async () => {
      await mkdir(at('dir'));
      await chmod(at('dir'), mode);
      const error = await rejection(ensurePrivateDir(at('dir'), { uid: UID }));
      expect(error).to.be.instanceOf(IntegrityError);
      expect(error.hint).to.equal(`look at what is in it, then run: chmod o-w '${at('dir')}'`);
    });
  }

  it('refuses a directory of another user', async () => {
    // Seen from a user who owns nothing here; where the tests run as root, the directory is given away first.
    await mkdir(at('dir'));
    if (UID === 0) await chown(at('dir'), 65534, 65534);
    const error = await rejection(ensurePrivateDir(at('dir'), { uid: 12345 }));
    expect(error).to.be.instanceOf(IntegrityError);
    expect(error).to.include({ expected: 'uid 12345 or 0', found: `uid ${UID === 0 ? 65534 : UID}` });
  });
});

describe('assertPrivateFile', () => {
  const at = temporaryDir();

  it('takes a file of its own, and none', async () => {
    await writeFile(at('file'), '', { mode: 0o644 });
    expect(() => assertPrivateFile(at('file'), UID)).not.to.throw();
    expect(() => assertPrivateFile(at('none'), UID)).not.to.throw();
    expect(() => assertPrivateFile(at('file', 'none'), UID)).not.to.throw();
  });

  it('refuses what a member of the group may have put there', async () => {
    await writeFile(at('file'), '');
    await symlink(at('file'), at('link'));
    expect(() => assertPrivateFile(at('link'), UID)).to.throw(IntegrityError, 'not a regular file');
    await link(at('file'), at('second'));
    expect(() => assertPrivateFile(at('file'), UID)).to.throw(IntegrityError, 'more than one name');
    await writeFile(at('open'), '');
    await chmod(at('open'), 0o664);
    expect(() => assertPrivateFile(at('open'), UID)).to.throw(IntegrityError, 'others may write to it');
    await writeFile(at('foreign'), '');
    if (UID === 0) await chown(at('foreign'), 65534, 65534);
    expect(() => assertPrivateFile(at('foreign'), 12345)).to.throw(IntegrityError, 'belongs to another user');
  });
});
