import { createHash } from 'node:crypto';
import { IntegrityError } from '../errors.ts';
import { parseJsonObject, stringField, type JsonObject } from './json-fields.ts';

const LINE_FEED = 0x0a;
const DIGEST_LINE_LENGTH = 65;

/** One file of the cache: the digest of all that follows, a JSON object, then bytes as they are. */
export interface CacheEntry {
  readonly header: JsonObject;
  readonly body: Uint8Array;
}

/** The name of the file that keeps what belongs to a key. Keys may be of any length and content. */
export function cacheEntryName(key: string): string {
  return sha256(Buffer.from(key));
}

/** The bytes of a cache file. The header gains the key. */
export function encodeCacheEntry(key: string, header: object, body: Uint8Array): Uint8Array {
  const content = Buffer.concat([Buffer.from(`${JSON.stringify({ ...header, key })}\n`), body]);
  return Buffer.concat([Buffer.from(`${sha256(content)}\n`), content]);
}

/** Reads a cache file back. @throws IntegrityError when it is damaged or belongs to another key. */
export function decodeCacheEntry(bytes: Uint8Array, key: string): CacheEntry {
  const where = `cache entry for '${key}'`;
  const content = bytes.subarray(DIGEST_LINE_LENGTH);
  const expected = Buffer.from(bytes.subarray(0, DIGEST_LINE_LENGTH)).toString('latin1');
  if (expected !== `${sha256(content)}\n`) throw new IntegrityError(`${where} is damaged`);
  const end = content.indexOf(LINE_FEED);
  const header = parseJsonObject(content.subarray(0, end), where);
  if (stringField(header, 'key') !== key) throw new IntegrityError(`${where} belongs to another`);
  return { header, body: content.subarray(end + 1) };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
