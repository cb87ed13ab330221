import { chmod, mkdir, readFile, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { FailureError, IntegrityError, type PoolkeeperError } from '../../../src/errors.ts';
import { cacheEntryName } from '../../../src/state/cache-entry.ts';
import { openDocumentCache, type DiskDocumentCache } from '../../../src/state/document-cache.ts';
import { temporaryDir, UID } from './support.ts';

const URL_A = 'https://cloud-images.example/streams/v1/index.sjson';
const URL_B = 'https://cloud-images.example/streams/v1/products.sjson';
const DAY_MS = 24 * 60 * 60 * 1000;
const NOW = Date.UTC(2026, 10, 20);
const DOCUMENT = {
  bytes: Buffer.from([0, 10, 13, 10, 255, 123]),
  etag: 'W/"a\\"b\n"',
  lastModified: 'Fri, 20 Nov 2026 19:38:00 GMT',
};
const BARE = { bytes: Buffer.alloc(0), etag: undefined, lastModified: undefined };
const VERDICT = {
  fingerprint: 'D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81',
  signedAtMs: 5,
  payload: Buffer.from('{}\n'),
};

describe('document cache', () => {
  const at = temporaryDir();
  let problems: PoolkeeperError[] = [];
  let now = NOW;

  const entry = (url: string): string => at('cache', 'documents-v1', cacheEntryName(url));
  const opened = async (): Promise<DiskDocumentCache> =>
    await openDocumentCache({
      dir: at('cache'),
      uid: UID,
      clock: { now: () => now },
      onProblem: (error) => problems.push(error),
    });

  beforeEach(() => {
    problems = [];
    now = NOW;
  });

  it('gives documents and verdicts back as they were, to the next run too', async () => {
    const first = await opened();
    await first.write(URL_A, DOCUMENT);
    await first.write(URL_B, BARE);
    await first.writeVerdict('key', VERDICT);
    for (const cache of [first, await opened()]) {
      expect(await cache.read(URL_A)).to.deep.equal(DOCUMENT);
      expect(await cache.read(URL_B)).to.deep.equal(BARE);
      expect(await cache.readVerdict('key')).to.deep.equal(VERDICT);
    }
    expect(problems).to.deep.equal([]);
  });

  it('knows nothing that was not written', async () => {
    const cache = await opened();
    expect([await cache.read(URL_A), await cache.readVerdict('key')]).to.deep.equal([undefined, undefined]);
  });

  it('keeps the last of several documents', async () => {
    const cache = await opened();
    await cache.write(URL_A, DOCUMENT);
    await cache.write(URL_A, BARE);
    expect(await cache.read(URL_A)).to.deep.equal(BARE);
  });

  it('is marked for backup programs and closed to others', async () => {
    await opened();
    await opened();
    const tag = await readFile(at('cache', 'CACHEDIR.TAG'), 'utf8');
    expect(tag.startsWith('Signature: 8a477f597d28d172789f06886806bc55\n')).to.equal(true);
    expect((await stat(at('cache'))).mode & 0o027).to.equal(0);
  });

  it('does not believe an entry with any changed byte, nor a cut one', async () => {
    const cache = await opened();
    await cache.write(URL_A, DOCUMENT);
    const whole = await readFile(entry(URL_A));
    const body = whole.length - DOCUMENT.bytes.length;
    for (const index of [0, 5, body - 1, body, whole.length - 1]) {
      const changed = Buffer.from(whole);
      changed[index] = (changed[index] ?? 0) ^ 1;
      await writeFile(entry(URL_A), changed);
      expect(await cache.read(URL_A), `byte ${index}`).to.equal(undefined);
    }
    for (const length of [0, 1, body - 1, body, whole.length - 1]) {
      await writeFile(entry(URL_A), whole.subarray(0, length));
      expect(await cache.read(URL_A), `cut at ${length}`).to.equal(undefined);
    }
  });

  it('does not believe an entry of another address, a link or a directory', async () => {
    const cache = await opened();
    await cache.write(URL_A, DOCUMENT);
    await writeFile(entry(URL_B), await readFile(entry(URL_A)));
    expect(await cache.read(URL_B)).to.equal(undefined);
    await rm(entry(URL_B));
    await symlink(entry(URL_A), entry(URL_B));
    expect(await cache.read(URL_B)).to.equal(undefined);
    await rm(entry(URL_B));
    await mkdir(entry(URL_B));
    expect(await cache.read(URL_B)).to.equal(undefined);
  });

  it('is not used at all when others could plant a verdict in it', async () => {
    await (await opened()).writeVerdict('key', VERDICT);
    await chmod(at('cache', 'verdicts-v1'), 0o777);
    const cache = await opened();
    await cache.write(URL_A, DOCUMENT);
    await cache.writeVerdict('key', VERDICT);
    await cache.prune();
    expect([await cache.read(URL_A), await cache.readVerdict('key')]).to.deep.equal([undefined, undefined]);
    expect(problems.map(({ name }) => name)).to.deep.equal([IntegrityError.name]);
  });

  it('goes on without a directory that cannot be made, and says so once', async () => {
    await writeFile(at('cache'), '');
    const cache = await opened();
    await cache.write(URL_A, DOCUMENT);
    await cache.prune();
    expect(await cache.read(URL_A)).to.equal(undefined);
    expect(problems).to.have.length(1);
  });

  it('says once that nothing can be written, and goes on', async () => {
    const cache = await opened();
    await rm(at('cache'), { recursive: true });
    await cache.write(URL_A, DOCUMENT);
    await cache.writeVerdict('key', VERDICT);
    await cache.prune();
    expect(await cache.read(URL_A)).to.equal(undefined);
    expect(problems.map(({ name }) => name)).to.deep.equal([FailureError.name]);
  });

  it('prunes what was not read for 60 days', async () => {
    const cache = await opened();
    for (const url of [URL_A, URL_B]) {
      await cache.write(url, DOCUMENT);
      await utimes(entry(url), NOW / 1000, NOW / 1000);
    }
    now = NOW + 30 * DAY_MS;
    await cache.read(URL_A);
    now = NOW + 61 * DAY_MS;
    await cache.prune();
    expect(await readdir(at('cache', 'documents-v1'))).to.deep.equal([cacheEntryName(URL_A)]);
    now = NOW + 91 * DAY_MS;
    await cache.prune();
    expect(await readdir(at('cache', 'documents-v1'))).to.deep.equal([]);
    expect(problems).to.deep.equal([]);
  });
});
