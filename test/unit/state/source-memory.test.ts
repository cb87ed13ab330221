import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { FailureError, IntegrityError } from '../../../src/errors.ts';
import {
  readSourceMemories,
  readSourceMemory,
  writeSourceMemory,
  type SourceMemory,
} from '../../../src/state/source-memory.ts';
import { rejection, temporaryDir } from './support.ts';

const MEMORY: SourceMemory = {
  url: 'https://cloud-images.example/releases/',
  documents: {
    'https://cloud-images.example/releases/streams/v1/index.sjson': { updatedAtMs: 5, sha256: 'ab'.repeat(32) },
    ['__proto__']: { updatedAtMs: 6, sha256: 'cd'.repeat(32) },
  },
  products: ['com.ubuntu.cloud:server:24.04:amd64', ''],
  listed: ['com.ubuntu.cloud:server:24.04:amd64', '', 'com.ubuntu.cloud:server:24.10:arm64'],
  acceptedAtMs: 7,
};

describe('source memory', () => {
  const at = temporaryDir();

  async function onlyFile(): Promise<string> {
    const [name = 'none'] = await readdir(at());
    return at(name);
  }

  it('is empty for a source of which nothing was accepted', async () => {
    expect(await readSourceMemory(at(), MEMORY.url)).to.equal(undefined);
    expect(await readSourceMemory(at('none'), MEMORY.url)).to.equal(undefined);
  });

  it('gives back what was accepted last, per source', async () => {
    const other = { ...MEMORY, url: 'https://mirror.example/', products: [] };
    await writeSourceMemory(at(), { ...MEMORY, acceptedAtMs: 1 });
    await writeSourceMemory(at(), MEMORY);
    await writeSourceMemory(at(), other);
    expect(await readSourceMemory(at(), MEMORY.url)).to.deep.equal(MEMORY);
    expect(await readSourceMemory(at(), other.url)).to.deep.equal(other);
    expect((await stat(await onlyFile())).mode & 0o777).to.equal(0o640);
  });

  it('names its file after the digest of the address', async () => {
    await writeSourceMemory(at(), MEMORY);
    expect(await readdir(at())).to.deep.equal([
      'b44d69b89bdc9060e6a208a289d4ef0290f990dbece1fe3d0310c3974fdabf7d.json',
    ]);
  });

  it('that is damaged is refused, never taken for none', async () => {
    await writeSourceMemory(at(), MEMORY);
    const json: Record<string, unknown> = JSON.parse(await readFile(await onlyFile(), 'utf8'));
    for (const change of [
      { formatVersion: undefined },
      { url: 'https://mirror.example/' },
      { documents: undefined },
      { documents: { a: { updatedAtMs: '5', sha256: '' } } },
      { products: 'p' },
      { products: [5] },
      { acceptedAtMs: 1.5 },
    ]) {
      await writeFile(await onlyFile(), JSON.stringify({ ...json, ...change }));
      expect(await rejection(readSourceMemory(at(), MEMORY.url)), JSON.stringify(change)).to.be.instanceOf(
        IntegrityError,
      );
    }
    await writeFile(await onlyFile(), '');
    expect(await rejection(readSourceMemory(at(), MEMORY.url))).to.be.instanceOf(IntegrityError);
  });

  it('of a newer poolkeeper is refused without being called damaged', async () => {
    await writeSourceMemory(at(), MEMORY);
    await writeFile(await onlyFile(), JSON.stringify({ formatVersion: 2 }));
    expect(await rejection(readSourceMemory(at(), MEMORY.url))).to.be.instanceOf(FailureError);
  });

  it('of another source under this name is refused', async () => {
    await writeSourceMemory(at(), MEMORY);
    const mine = await onlyFile();
    await writeSourceMemory(at(), { ...MEMORY, url: 'https://mirror.example/' });
    const other = (await readdir(at())).map((name) => at(name)).find((path) => path !== mine);
    await rename(other ?? '', mine);
    const error = await rejection(readSourceMemory(at(), MEMORY.url));
    expect(error).to.be.instanceOf(IntegrityError);
    expect(error).to.include({ expected: MEMORY.url, found: 'https://mirror.example/' });
  });

  it('of all sources is read together, without what is damaged', async () => {
    const other = { ...MEMORY, url: 'https://mirror.example/' };
    await writeSourceMemory(at(), MEMORY);
    await writeFile(await onlyFile(), '{');
    await writeSourceMemory(at(), other);
    await writeFile(at('notes.json'), '{}');
    expect(await readSourceMemories(at())).to.deep.equal([other]);
    expect(await readSourceMemories(at('none'))).to.deep.equal([]);
  });
});
