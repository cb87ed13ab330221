import { lstat, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CachedDocument, Clock, DocumentCache, SignatureVerdict } from '../core/ports.ts';
import { PoolkeeperError } from '../errors.ts';
import { errnoCode } from '../util/errno.ts';
import { readFileBounded, removeFileDurably, writeFileAtomic } from './atomic-file.ts';
import { cacheEntryName, decodeCacheEntry, encodeCacheEntry, type CacheEntry } from './cache-entry.ts';
import { fileError } from './file-error.ts';
import { integerField, type JsonObject, optionalStringField, stringField } from './json-fields.ts';
import { attempt } from './listing.ts';
import { ensurePrivateDir } from './private-dir.ts';

const MAX_BYTES = 256 * 1024 * 1024;
const FILE_MODE = 0o640;
const DAY_MS = 24 * 60 * 60 * 1000;
const UNREAD_MS = 60 * DAY_MS;

/** Format versions stand in the names: another format simply finds nothing. */
const DOCUMENTS = 'documents-v1';
const VERDICTS = 'verdicts-v1';
const NOTES = 'notes-v1';
const FOLDERS = [DOCUMENTS, VERDICTS, NOTES];

/** https://bford.info/cachedir/ : backup programs pass a directory with this file over. */
const CACHEDIR_TAG = `Signature: 8a477f597d28d172789f06886806bc55
# This directory holds what poolkeeper can fetch again. See https://bford.info/cachedir/
`;

export interface DocumentCacheOptions {
  readonly dir: string;
  /** The effective user of this process. */
  readonly uid: number;
  readonly clock: Clock;
  /** Told once, when something cannot be kept. The cache goes on without it. */
  readonly onProblem: (error: PoolkeeperError) => void;
}

/** A `DocumentCache` in a directory. No call ever fails because of a broken cache. */
export interface DiskDocumentCache extends DocumentCache {
  /** A note that was written under the key; `undefined` when there is none, or when it cannot be read by `decode`. */
  readNote<T>(key: string, decode: (note: JsonObject) => T): Promise<T | undefined>;
  /** Keeps a few facts. `key` must stand for everything that they depend on, and lies beside them in the clear. */
  writeNote(key: string, note: object): Promise<void>;
  /** Removes what was not read for 60 days. */
  prune(): Promise<void>;
}

/**
 * Opens the cache in a directory, and makes the directory if it is not there. One that others could write to is not
 * used at all, because a planted verdict would pass for a good signature; `onProblem` hears of it.
 */
export async function openDocumentCache(options: DocumentCacheOptions): Promise<DiskDocumentCache> {
  const { dir, clock } = options;
  const ready = await attempt(() => prepare(options));
  if (ready instanceof PoolkeeperError) {
    options.onProblem(ready);
    return NO_CACHE;
  }
  const report = once(options.onProblem);
  return {
    read: async (url) => await quietly(async () => toDocument(await readEntry(join(dir, DOCUMENTS), url, clock))),
    readVerdict: async (key) => await quietly(async () => toVerdict(await readEntry(join(dir, VERDICTS), key, clock))),
    write: async (url, { bytes, ...header }) =>
      await reporting(report, () => writeEntry(join(dir, DOCUMENTS), url, encodeCacheEntry(url, header, bytes))),
    writeVerdict: async (key, { payload, ...header }) =>
      await reporting(report, () => writeEntry(join(dir, VERDICTS), key, encodeCacheEntry(key, header, payload))),
    readNote: async (key, decode) =>
      await quietly(async () => {
        const entry = await readEntry(join(dir, NOTES), key, clock);
        return entry && decode(entry.header);
      }),
    writeNote: async (key, note) =>
      await reporting(report, () => writeEntry(join(dir, NOTES), key, encodeCacheEntry(key, note, new Uint8Array()))),
    prune: async () =>
      await reporting(report, async () => {
        for (const name of FOLDERS) await pruneDir(join(dir, name), clock.now() - UNREAD_MS);
      }),
  };
}

const NO_CACHE: DiskDocumentCache = {
  read: async () => await Promise.resolve(undefined),
  readVerdict: async () => await Promise.resolve(undefined),
  write: async () => await Promise.resolve(),
  writeVerdict: async () => await Promise.resolve(),
  readNote: async () => await Promise.resolve(undefined),
  writeNote: async () => await Promise.resolve(),
  prune: async () => await Promise.resolve(),
};

async function prepare({ dir, uid }: DocumentCacheOptions): Promise<void> {
  for (const path of [dir, ...FOLDERS.map((name) => join(dir, name))]) await ensurePrivateDir(path, { uid });
  await tagDirectory(join(dir, 'CACHEDIR.TAG'));
}

async function tagDirectory(path: string): Promise<void> {
  try {
    await writeFile(path, CACHEDIR_TAG, { flag: 'wx' });
  } catch (cause) {
    if (errnoCode(cause) !== 'EEXIST') throw fileError(`cannot write '${path}'`, cause);
  }
}

async function readEntry(dir: string, key: string, clock: Clock): Promise<CacheEntry | undefined> {
  const path = join(dir, cacheEntryName(key));
  const file = await readFileBounded(path, MAX_BYTES);
  if (file === undefined) return undefined;
  const entry = decodeCacheEntry(file.bytes, key);
  await markAsRead(path, file.mtimeMs, clock.now());
  return entry;
}

/** The time of the last reading, to the day, is the file's time of change: access times are often off. */
async function markAsRead(path: string, mtimeMs: number, nowMs: number): Promise<void> {
  if (Math.abs(nowMs - mtimeMs) < DAY_MS) return;
  // A cache that can only be read is still a good one.
  await utimes(path, nowMs / 1000, nowMs / 1000).catch(() => undefined);
}

async function writeEntry(dir: string, key: string, bytes: Uint8Array): Promise<void> {
  await writeFileAtomic(join(dir, cacheEntryName(key)), bytes, { mode: FILE_MODE });
}

async function pruneDir(dir: string, beforeMs: number): Promise<void> {
  try {
    for (const name of await readdir(dir)) {
      const path = join(dir, name);
      if (await isOlder(path, beforeMs)) await removeFileDurably(path);
    }
  } catch (cause) {
    throw fileError(`cannot prune '${dir}'`, cause);
  }
}

async function isOlder(path: string, beforeMs: number): Promise<boolean> {
  try {
    return (await lstat(path)).mtimeMs < beforeMs;
  } catch (cause) {
    // Another process prunes too.
    if (errnoCode(cause) === 'ENOENT') return false;
    throw cause;
  }
}

function toDocument(entry: CacheEntry | undefined): CachedDocument | undefined {
  if (entry === undefined) return undefined;
  return {
    bytes: entry.body,
    etag: optionalStringField(entry.header, 'etag'),
    lastModified: optionalStringField(entry.header, 'lastModified'),
  };
}

function toVerdict(entry: CacheEntry | undefined): SignatureVerdict | undefined {
  if (entry === undefined) return undefined;
  return {
    fingerprint: stringField(entry.header, 'fingerprint'),
    signedAtMs: integerField(entry.header, 'signedAtMs'),
    payload: entry.body,
  };
}

async function quietly<T>(read: () => Promise<T>): Promise<T | undefined> {
  const result = await attempt(read);
  return result instanceof PoolkeeperError ? undefined : result;
}

async function reporting(report: (error: PoolkeeperError) => void, write: () => Promise<void>): Promise<void> {
  const result = await attempt(write);
  if (result instanceof PoolkeeperError) report(result);
}

function once(report: (error: PoolkeeperError) => void): (error: PoolkeeperError) => void {
  let wasTold = false;
  return (error) => {
    if (!wasTold) report(error);
    wasTold = true;
  };
}
