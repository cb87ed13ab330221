import { mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { FailureError } from '../../../src/errors.ts';
import { setAside } from '../../../src/state/set-aside.ts';
import { rejection, temporaryDir } from './support.ts';

describe('setAside', () => {
  const at = temporaryDir();

  it('keeps every file that ever had the name', async () => {
    await writeFile(at('file'), 'first');
    const first = await setAside(at('file'));
    await writeFile(at('file'), 'second');
    const second = await setAside(at('file'));
    expect(await readdir(at())).to.deep.equal(['set-aside']);
    expect([await readFile(first, 'utf8'), await readFile(second, 'utf8')]).to.deep.equal(['first', 'second']);
    expect(first).to.match(/\/set-aside\/\d{4}-\d\d-\d\dT[\d:.]+Z-\w{6}\/file$/);
  });

  it('moves a file with the longest possible name', async () => {
    const name = 'x'.repeat(255);
    await writeFile(at(name), 'content');
    expect(await readFile(await setAside(at(name)), 'utf8')).to.equal('content');
  });

  it('moves a symbolic link itself', async () => {
    await symlink('/etc/hostname', at('link'));
    expect(await readlink(await setAside(at('link'), at('elsewhere')))).to.equal('/etc/hostname');
  });

  it('leaves alone what is too large to be one of its own files, to the byte [F8]', async () => {
    await writeFile(at('large'), Buffer.alloc(65_537));
    const error = await rejection(setAside(at('large')));
    expect(error).to.be.instanceOf(FailureError);
    expect(error.message).to.equal(`cannot set '${at('large')}' aside: it has 65537 bytes, and may be an image`);
    expect(await readdir(at())).to.deep.equal(['large']);
    await writeFile(at('small'), Buffer.alloc(65_536));
    expect(await setAside(at('small'))).to.match(/small$/);
  });

  it('leaves a folder alone [F8]', async () => {
    await mkdir(at('folder'));
    expect(await rejection(setAside(at('folder')))).to.be.instanceOf(FailureError);
  });

  it('says so when there is nothing to move', async () => {
    const error = await rejection(setAside(at('none')));
    expect(error).to.be.instanceOf(FailureError);
    expect(error.message).to.equal(`cannot set '${at('none')}' aside: ENOENT`);
  });

  describe('across file systems', () => {
    let other = '';
    beforeEach(async () => {
      other = await mkdtemp('/dev/shm/poolkeeper-state-');
    });
    afterEach(async () => {
      await rm(other, { recursive: true, force: true });
    });

    it('copies the file before it removes it', async () => {
      await writeFile(at('file'), 'content');
      const target = await setAside(at('file'), other);
      expect(await readFile(target, 'utf8')).to.equal('content');
      expect(await readdir(at())).to.deep.equal([]);
    });

    it('moves a symbolic link itself, and nothing that it leads to', async () => {
      await writeFile(at('target'), 'content');
      await symlink(at('target'), at('link'));
      await symlink('/nowhere', at('dangling'));
      expect(await readlink(await setAside(at('link'), join(other, 'aside')))).to.equal(at('target'));
      expect(await readlink(await setAside(at('dangling'), join(other, 'aside')))).to.equal('/nowhere');
      expect(await readdir(at())).to.deep.equal(['target']);
      expect(await readFile(at('target'), 'utf8')).to.equal('content');
    });

    it('leaves anything else where it is', async () => {
      await mkdir(at('folder'));
      const error = await rejection(setAside(at('folder'), join(other, 'aside')));
      expect(error).to.be.instanceOf(FailureError).with.property('hint').that.contains('by hand');
      expect(await readdir(at())).to.deep.equal(['folder']);
    });
  });
});
