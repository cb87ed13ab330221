import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, readFile, readdir, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import * as fc from 'fast-check';
import type { FlatItem } from '../../../src/core/filter.ts';
import { encodeMetadataName } from '../../../src/core/identity.ts';
import { FailureError, IntegrityError } from '../../../src/errors.ts';
import {
  readMetadataFiles,
  removeMetadataFile,
  removeMetadataStaging,
  setAsideMetadataFile,
  writeMetadataFile,
} from '../../../src/state/metadata-files.ts';
import { rejection, temporaryDir } from './support.ts';

const NOBLE = { product: 'com.ubuntu.cloud:server:24.04:amd64', version: '20240423.1' };
const JAMMY = { product: 'com.ubuntu.cloud:server:22.04:amd64', version: '20240426' };
const NAME = encodeMetadataName(NOBLE);
const NOTHING = { files: [], undecodable: [], unreadable: [] };
const TAGS: FlatItem = { release: 'noble', arch: 'amd64', label: 'release', sha256: 'ab' };
const OWN = { product_name: NOBLE.product, version_name: NOBLE.version };

/** Names and kinds of errors instead of the errors themselves. */
async function overview(dir: string): Promise<object> {
  const { files, undecodable, unreadable } = await readMetadataFiles(dir);
  return {
    files: files.map(({ name }) => name),
    undecodable,
    unreadable: unreadable.map(({ name, error }) => [name, error.name]),
  };
}

describe('writeMetadataFile', () => {
  const at = temporaryDir();

  it('makes the directory so that everybody gets through to the images beside it, whatever the umask is', async () => {
    const before = process.umask(0o077);
    try {
      await writeMetadataFile(at('uvtool', 'libvirt', 'metadata'), NOBLE, TAGS);
    } finally {
      process.umask(before);
    }
    const modes = [at('uvtool'), at('uvtool', 'libvirt'), at('uvtool', 'libvirt', 'metadata')].map(
      async (dir) => (await stat(dir)).mode & 0o7777,
    );
    expect(await Promise.all(modes)).to.deep.equal([0o755, 0o755, 0o775]);
  });

  it('makes the directory and writes what uvtool would, readable and in the group of the directory', async () => {
    await mkdir(at('metadata'));
    // The first group that is not the default one; an ordinary user may have only one.
    const gid = process.getgroups?.().find((group) => group !== process.getegid?.()) ?? process.getegid?.() ?? 0;
    execFileSync('chgrp', [String(gid), at('metadata')]);
    await writeMetadataFile(at('metadata'), NOBLE, TAGS);
    expect(await readFile(at('metadata', NAME), 'utf8')).to.equal(`{
    "release": "noble",
    "arch": "amd64",
    "label": "release",
    "sha256": "ab",
    "product_name": "com.ubuntu.cloud:server:24.04:amd64",
    "version_name": "20240423.1"
}`);
    const { mode, gid: found } = await stat(at('metadata', NAME));
    expect([mode & 0o777, found]).to.deep.equal([0o664, gid]);
    expect(await readdir(at('metadata'))).to.deep.equal([NAME]);
  });

  it('adds what uvtool looks up unguarded, and lets the identity win', async () => {
    await writeMetadataFile(at('metadata'), NOBLE, { version_name: '1', product_name: 'other', arch: 'arm64' });
    const { files } = await readMetadataFiles(at('metadata'));
    expect(files.map(({ item }) => item)).to.deep.equal([{ ...OWN, arch: 'arm64', release: '', label: '' }]);
  });

  it('keeps tags with names that mean something to JavaScript', async () => {
    const tags: FlatItem = { ...TAGS, ...Object.fromEntries([['__proto__', 'a']]), constructor: 'b' };
    await writeMetadataFile(at(), NOBLE, tags);
    const { files } = await readMetadataFiles(at());
    expect(Object.entries(files[0]?.item ?? {})).to.deep.equal(Object.entries({ ...tags, ...OWN }));
  });

  it('names the file when its directory is a file', async () => {
    await writeFile(at('metadata'), '');
    const error = await rejection(writeMetadataFile(at('metadata'), NOBLE, TAGS));
    expect(error).to.be.instanceOf(FailureError);
    expect(error.message).to.equal(`cannot write '${at('metadata', NAME)}': a part of it is not a directory`);
  });

  it("writes the bytes of Python's json.dumps for any text", async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
      fc
        .array(
          fc.constantFrom('"', '\\', '/', '\b', '\f', '\n', '\r', '\t', '\0', '\u001f', ' ', '~', '\u007f', '\u0080'),
        )
        .map((parts) => parts.join('')),
    );
    const items = fc.sample(fc.dictionary(text, text), 150).map((tags) => ({ ...TAGS, ...tags, ...OWN }));
    const written: string[] = [];
    for (const item of items) {
      await writeMetadataFile(at(), NOBLE, item);
      written.push(await readFile(at(NAME), 'utf8'));
    }
    const program =
      'import json, sys; json.dump([json.dumps(dict(i), indent=4) for i in json.load(sys.stdin)], sys.stdout)';
    const input = JSON.stringify(items.map((item) => Object.entries(item)));
    const python = spawnSync('python3', ['-c', program], { input, encoding: 'utf8' });
    expect(python.stderr).to.equal('');
    expect(written).to.deep.equal(JSON.parse(python.stdout));
  });
});

describe('readMetadataFiles', () => {
  const at = temporaryDir();

  it('finds nothing in a directory that is not there', async () => {
    expect(await readMetadataFiles(at('none'))).to.deep.equal(NOTHING);
  });

  it('reads what was written, with its time, in the order of the names', async () => {
    await writeMetadataFile(at(), NOBLE, TAGS);
    await writeMetadataFile(at(), JAMMY, { ...TAGS, release: 'jammy' });
    for (const identity of [NOBLE, JAMMY]) await utimes(at(encodeMetadataName(identity)), 1000, 1000);
    expect(await readMetadataFiles(at())).to.deep.equal({
      ...NOTHING,
      files: [
        {
          name: encodeMetadataName(JAMMY),
          identity: JAMMY,
          item: { ...TAGS, release: 'jammy', product_name: JAMMY.product, version_name: JAMMY.version },
          mtimeMs: 1_000_000,
        },
        { name: NAME, identity: NOBLE, item: { ...TAGS, ...OWN }, mtimeMs: 1_000_000 },
      ],
    });
  });

  it('names files that are not metadata and passes over sub-directories, as uvtool does', async () => {
    await writeMetadataFile(at(), NOBLE, TAGS);
    await mkdir(at('.poolkeeper-abcdef'));
    await mkdir(at('sub'));
    await symlink('/etc/hostname', at('link'));
    for (const name of ['.lock', 'README', 'x-uvt-plain-a__1', `${NAME}.tmp`]) await writeFile(at(name), '{}');
    expect(await overview(at())).to.deep.equal({
      files: [NAME],
      undecodable: ['.lock', 'README', 'link', `${NAME}.tmp`, 'x-uvt-plain-a__1'],
      unreadable: [],
    });
  });

  for (const [what, content] of [
    ['nothing', ''],
    ['half of it', '{"product_name": "com.ubu'],
    ['binary bytes', Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0xff, 0xfe])],
    ['NULs, as after a power failure', Buffer.alloc(512)],
    ['a list', '[]'],
    ['a text', '"x"'],
    ['null', 'null'],
    ['a nested value', JSON.stringify({ ...TAGS, ...OWN, tags: {} })],
    ['a number', JSON.stringify({ ...TAGS, ...OWN, size: 5 })],
    ['bytes that are not UTF-8', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')])],
    ['a byte order mark', `\ufeff${JSON.stringify({ ...TAGS, ...OWN })}`],
    ['another product', JSON.stringify({ ...TAGS, ...OWN, product_name: 'other' })],
    ['another version', JSON.stringify({ ...TAGS, ...OWN, version_name: '1' })],
    ['no identity', JSON.stringify(TAGS)],
    ['an identity only by inheritance', `{"__proto__": "x"}`],
  ] as const) {
    it(`names a damaged file that holds ${what}, and reads the others`, async () => {
      await writeMetadataFile(at(), JAMMY, TAGS);
      await writeFile(at(NAME), content);
      expect(await overview(at())).to.deep.equal({
        files: [encodeMetadataName(JAMMY)],
        undecodable: [],
        unreadable: [[NAME, IntegrityError.name]],
      });
    });
  }

  it('names a file that is absurdly large without reading it', async () => {
    await writeFile(at(NAME), '');
    await truncate(at(NAME), 2 ** 40);
    expect(await overview(at())).to.deep.equal({ ...NOTHING, unreadable: [[NAME, IntegrityError.name]] });
  });

  for (const [what, plant] of [
    ['symbolic link', (path: string) => symlink('/etc/hostname', path)],
    ['dangling symbolic link', (path: string) => symlink('/nowhere', path)],
    ['directory', (path: string) => mkdir(path)],
    ['fifo', async (path: string) => await Promise.resolve(execFileSync('mkfifo', [path]))],
  ] as const) {
    it(`names a ${what} in the place of a metadata file, and never opens it`, async () => {
      await plant(at(NAME));
      expect(await overview(at())).to.deep.equal({ ...NOTHING, unreadable: [[NAME, IntegrityError.name]] });
    });
  }

  it('refuses a path that is not a directory, rather than see no files', async () => {
    await writeFile(at('file'), '');
    const error = await rejection(readMetadataFiles(at('file')));
    expect(error).to.be.instanceOf(FailureError);
    expect(error.message).to.equal(`cannot read directory '${at('file')}': a part of it is not a directory`);
  });
});

describe('removeMetadataFile', () => {
  const at = temporaryDir();

  it('removes the file of that identity only, and again without complaint', async () => {
    await writeMetadataFile(at(), NOBLE, TAGS);
    await writeMetadataFile(at(), JAMMY, TAGS);
    await removeMetadataFile(at(), NOBLE);
    await removeMetadataFile(at(), NOBLE);
    expect(await readdir(at())).to.deep.equal([encodeMetadataName(JAMMY)]);
  });
});

describe('setAsideMetadataFile', () => {
  const at = temporaryDir();

  it("leaves nothing in uvtool's directory", async () => {
    await mkdir(at('metadata'));
    await writeFile(at('metadata', NAME), 'damaged');
    const target = await setAsideMetadataFile(at('metadata'), NAME, at('state', 'set-aside'));
    expect(await readdir(at('metadata'))).to.deep.equal([]);
    expect(target.startsWith(at('state', 'set-aside'))).to.equal(true);
    expect(await readFile(target, 'utf8')).to.equal('damaged');
  });
});

describe('removeMetadataStaging', () => {
  const at = temporaryDir();

  it('removes what a killed writer left and nothing else', async () => {
    await writeMetadataFile(at(), NOBLE, TAGS);
    await mkdir(at('other'));
    await mkdir(at('.poolkeeper-abcdef'));
    await writeFile(at('.poolkeeper-abcdef', '.0b8ae5b0-6e0f-4d3a-9a71-b2a1c39f8f6d.tmp'), '{');
    await symlink(at('other'), at('.poolkeeper-planted'));
    await mkdir(at('.poolkeeper-foreign'));
    await writeFile(at('.poolkeeper-foreign', 'precious'), '');
    await removeMetadataStaging(at());
    expect(await readdir(at())).to.have.members([NAME, 'other', '.poolkeeper-planted', '.poolkeeper-foreign']);
    expect(await readdir(at('.poolkeeper-foreign'))).to.deep.equal(['precious']);
  });
});
