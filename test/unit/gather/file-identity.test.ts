import { expect } from 'chai';
import { link, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileIdentity, localFiles, remoteFiles } from '../../../src/gather/file-identity.ts';

describe('localFiles', () => {
  let root: string;

  before(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'pk-identity-')));
    await mkdir(join(root, 'images'));
    await writeFile(join(root, 'images/a b'), '');
    await writeFile(join(root, 'images/other'), '');
    await link(join(root, 'images/a b'), join(root, 'hard'));
    await symlink('images', join(root, 'alias'));
    await symlink('images/a b', join(root, 'link'));
    await symlink('loop', join(root, 'loop'));
    for (const byte of [0xfe, 0xff]) await writeFile(bytesOf(byte), '');
  });
  after(() => rm(root, { recursive: true, force: true }));

  for (const spelling of ['images//a b', 'images/./a b', 'images/../images/a b', 'alias/a b', 'link', 'hard']) {
    it(`knows a file again that is spelled ${spelling}`, async () => {
      const [plain, spelled] = [await look('images/a b'), await look(spelling)];
      expect(shared(plain, spelled).length).to.be.greaterThan(0);
      expect(shared(await look('images/other'), spelled)).to.deep.equal([]);
    });
  }

  it('knows one entry of a directory by any path to it, and tells links from it', async () => {
    const entries = await Promise.all(
      ['images/a b', 'alias/a b', 'images//./a b', 'link', 'hard'].map(async (path) => (await look(path)).entry),
    );
    expect(new Set(entries.slice(0, 3)).size).to.equal(1);
    expect(new Set(entries).size).to.equal(3);
  });

  it('tells files apart whose names are not UTF-8 and look alike', async () => {
    const files = localFiles();
    const [one, two] = [bytesOf(0xfe), bytesOf(0xff)];
    const [first, second] = [await files.identify(one.toString(), one), await files.identify(two.toString(), two)];
    expect([first.state, second.state]).to.deep.equal(['file', 'file']);
    expect(first.entry).to.not.equal(second.entry);
  });

  it('gives a directory what everything below it has, by any path', async () => {
    const [covering] = (await look('alias')).below;
    expect((await look('images/a b')).above).to.include(covering);
    expect((await look('link')).above).to.include(covering);
    expect((await look('images/missing')).above).to.include(covering);
    expect((await look('loop')).above).to.not.include(covering);
  });

  it('tells what is missing from what nobody can open', async () => {
    const states = await Promise.all(
      ['images/missing', 'missing/too', 'images/a b/below', 'loop', 'a'.repeat(300)].map(
        async (path) => (await look(path)).state,
      ),
    );
    expect(states).to.deep.equal(['missing', 'missing', 'missing', 'other', 'other']);
  });

  function look(path: string): Promise<FileIdentity> {
    return localFiles().identify(`${root}/${path}`);
  }

  function bytesOf(byte: number): Buffer {
    return Buffer.concat([Buffer.from(`${root}/images/n`), Buffer.from([byte])]);
  }
});

describe('remoteFiles', () => {
  it('compares paths as text, without detours, slashes at the end and kinds of blanks', async () => {
    const files = remoteFiles();
    const plain = await files.identify('/images/a b');
    for (const spelling of ['/images/a b/', '//images/./x/../a b', '/images/a\nb']) {
      expect(shared(plain, await files.identify(spelling)), spelling).to.not.deep.equal([]);
    }
    expect(shared(plain, await files.identify('/images/a'))).to.deep.equal([]);
  });
});

function shared(one: FileIdentity, other: FileIdentity): readonly string[] {
  return one.tokens.filter((token) => other.tokens.includes(token));
}
