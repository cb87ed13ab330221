import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { FailureError, IntegrityError } from '../../../src/errors.ts';
import {
  readFileBounded,
  removeFileDurably,
  removeTemporaryFiles,
  writeFileAtomic,
} from '../../../src/state/atomic-file.ts';
import { rejection, temporaryDir } from './support.ts';

const BYTES = Buffer.from('new');

describe('writeFileAtomic', () => {
  const at = temporaryDir();

  it('replaces the file, sets its mode whatever the umask, and leaves nothing beside it', async () => {
    await writeFile(at('file'), 'a much longer old content', { mode: 0o600 });
    await writeFileAtomic(at('file'), BYTES, { mode: 0o664 });
    expect(await readFile(at('file'), 'utf8')).to.equal('new');
    expect((await stat(at('file'))).mode & 0o777).to.equal(0o664);
    expect(await readdir(at())).to.deep.equal(['file']);
  });

  it('replaces a planted symbolic link and leaves its target alone', async () => {
    await writeFile(at('target'), 'precious');
    await symlink(at('target'), at('file'));
    await writeFileAtomic(at('file'), BYTES, { mode: 0o640 });
    expect(await readFile(at('target'), 'utf8')).to.equal('precious');
    expect(await readFile(at('file'), 'utf8')).to.equal('new');
  });

  it('stages in another directory when told to', async () => {
    await mkdir(at('staging'));
    await writeFileAtomic(at('file'), BYTES, { mode: 0o640, stagingDir: at('staging') });
    expect(await readdir(at('staging'))).to.deep.equal([]);
    expect(await readFile(at('file'), 'utf8')).to.equal('new');
  });

  it('removes its temporary file when the new name cannot be taken', async () => {
    await mkdir(at('file'));
    const error = await rejection(writeFileAtomic(at('file'), BYTES, { mode: 0o640 }));
    expect(error).to.be.instanceOf(FailureError);
    expect(error.message).to.equal(`cannot write '${at('file')}': EISDIR`);
    expect(await readdir(at())).to.deep.equal(['file']);
  });

  it('names the file when its directory is missing', async () => {
    const error = await rejection(writeFileAtomic(at('none', 'file'), BYTES, { mode: 0o640 }));
    expect(error.message).to.equal(`cannot write '${at('none', 'file')}': ENOENT`);
  });
});

describe('removeFileDurably', () => {
  const at = temporaryDir();

  it('removes a file, and again without complaint, even when the directory is gone too', async () => {
    await writeFile(at('file'), '');
    await removeFileDurably(at('file'));
    await removeFileDurably(at('file'));
    await removeFileDurably(at('none', 'file'));
    expect(await readdir(at())).to.deep.equal([]);
  });

  it('removes a symbolic link and not its target', async () => {
    await writeFile(at('target'), '');
    await symlink(at('target'), at('file'));
    await removeFileDurably(at('file'));
    expect(await readdir(at())).to.deep.equal(['target']);
  });
});

describe('removeTemporaryFiles', () => {
  const at = temporaryDir();

  it('removes only what unfinished writes left', async () => {
    const names = ['.0b8ae5b0-6e0f-4d3a-9a71-b2a1c39f8f6d.tmp', '.tmp', 'a.tmp', 'file'];
    for (const name of names) await writeFile(at(name), '');
    await removeTemporaryFiles(at());
    expect(await readdir(at())).to.have.members(['.tmp', 'a.tmp', 'file']);
  });

  it('finds nothing in a directory that is not there', async () => {
    await removeTemporaryFiles(at('none'));
  });
});

describe('readFileBounded', () => {
  const at = temporaryDir();

  it('reads a file of exactly the bound, and an empty one', async () => {
    await writeFile(at('file'), '12345678');
    await writeFile(at('empty'), '');
    expect((await readFileBounded(at('file'), 8))?.bytes.toString()).to.equal('12345678');
    expect((await readFileBounded(at('empty'), 8))?.bytes.length).to.equal(0);
  });

  it('reads a large file whole', async () => {
    const bytes = Buffer.alloc(3_000_001, 'abc');
    await writeFile(at('file'), bytes);
    expect((await readFileBounded(at('file'), bytes.length))?.bytes.equals(bytes)).to.equal(true);
  });

  it('finds nothing where no file is', async () => {
    expect(await readFileBounded(at('none'), 8)).to.equal(undefined);
    expect(await readFileBounded(at('none', 'file'), 8)).to.equal(undefined);
  });

  it('refuses one byte too much', async () => {
    await writeFile(at('file'), '123456789');
    const error = await rejection(readFileBounded(at('file'), 8));
    expect(error).to.be.instanceOf(IntegrityError);
    expect(error).to.include({ expected: 'at most 8 bytes', found: '9 bytes' });
  });

  it('follows no symbolic link', async () => {
    await writeFile(at('target'), 'secret');
    await symlink(at('target'), at('file'));
    const error = await rejection(readFileBounded(at('file'), 100));
    expect(error).to.be.instanceOf(IntegrityError);
    expect(error.message).to.equal(`cannot read '${at('file')}': it is a symbolic link`);
  });

  it('opens no directory and does not wait for a fifo', async () => {
    await mkdir(at('dir'));
    execFileSync('mkfifo', [at('fifo')]);
    for (const name of ['dir', 'fifo']) {
      const error = await rejection(readFileBounded(at(name), 100));
      expect(error).to.be.instanceOf(IntegrityError);
      expect(error.message).to.equal(`cannot read '${at(name)}': it is not a regular file`);
    }
  });
});
