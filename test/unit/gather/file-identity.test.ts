import { expect } from 'chai';
import { realpathSync, statSync } from 'node:fs';
import { link, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { type FileIdentity, localFiles, remoteFiles } from '../../../src/gather/file-identity.ts';

/** Of what may stand in a folder, with what may come behind. */
const NAMES = ['', ...'link hard alias alias/ images images/ other . .. ../ loop x'.split(' '), 'a b'];

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
    it(`knows a file again that is spelled ${spelling}`, () => {
      const [plain, spelled] = [look('images/a b'), look(spelling)];
      expect(shared(plain, spelled).length).to.be.greaterThan(0);
      expect(shared(look('images/other'), spelled)).to.deep.equal([]);
    });
  }

  it('knows one entry of a directory by any path to it, and tells links from it', () => {
    const spellings = ['images/a b', 'alias/a b', 'images//./a b', 'link', 'hard'];
    const entries = spellings.map((path) => look(path).entry);
    expect(new Set(entries.slice(0, 3)).size).to.equal(1);
    expect(new Set(entries).size).to.equal(3);
  });

  it('tells files apart whose names are not UTF-8 and look alike', () => {
    const files = localFiles();
    const [one, two] = [bytesOf(0xfe), bytesOf(0xff)];
    const [first, second] = [files.identify(one.toString(), one), files.identify(two.toString(), two)];
    expect([first.state, second.state]).to.deep.equal(['file', 'file']);
    expect(first.entry).to.not.equal(second.entry);
  });

  it('gives a directory what everything below it has, by any path', () => {
    const [covering] = look('alias').below;
    expect(look('images/a b').above).to.include(covering);
    expect(look('link').above).to.include(covering);
    expect(look('images/missing').above).to.include(covering);
    expect(look('loop').above).to.not.include(covering);
  });

  it('tells what is missing from what nobody can open', () => {
    const paths = ['images/missing', 'missing/too', 'images/a b/below', 'loop', 'a'.repeat(300)];
    const states = paths.map((path) => look(path).state);
    expect(states).to.deep.equal(['missing', 'missing', 'missing', 'other', 'other']);
  });

  it('names what is there as the kernel does, by every way that leads to it', () => {
    const files = localFiles();
    for (const folder of ['', 'images/', 'alias/', 'images/../', 'alias/../', 'alias/./', './/', 'link/', 'loop/']) {
      for (const name of NAMES) {
        const path = `${root}/${folder}${name}`;
        const { paths, tokens, state } = files.identify(path);
        const status = attempt(() => statSync(path, { bigint: true }));
        const real = attempt(() => realpathSync.native(path));
        expect(real === undefined || paths.includes(real), path).to.equal(true);
        expect(
          tokens.filter((token) => token.startsWith('inode:')),
          path,
        ).to.deep.equal(status === undefined ? [] : [`inode:${status.dev}:${status.ino}`]);
        expect(state === 'directory', path).to.equal(status?.isDirectory() === true);
        const names = [path, posix.normalize(path).replace(/(.)\/$/, '$1'), real ?? ''];
        expect(real === undefined || paths.every((each) => names.includes(each)), path).to.equal(true);
      }
    }
  });

  function attempt<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch {
      return undefined;
    }
  }

  function look(path: string): FileIdentity {
    return localFiles().identify(`${root}/${path}`);
  }

  function bytesOf(byte: number): Buffer {
    return Buffer.concat([Buffer.from(`${root}/images/n`), Buffer.from([byte])]);
  }
});

describe('remoteFiles', () => {
  it('compares paths as text, without detours, slashes at the end and kinds of blanks', () => {
    const files = remoteFiles();
    const plain = files.identify('/images/a b');
    for (const spelling of ['/images/a b/', '//images/./x/../a b', '/images/a\nb']) {
      expect(shared(plain, files.identify(spelling)), spelling).to.not.deep.equal([]);
    }
    expect(shared(plain, files.identify('/images/a'))).to.deep.equal([]);
  });
});

function shared(one: FileIdentity, other: FileIdentity): readonly string[] {
  return one.tokens.filter((token) => other.tokens.includes(token));
}
