import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import type { FetchRequest, FetchResponse } from '../core/ports.ts';
import { SourceError } from '../errors.ts';
import { publicAddress } from './address.ts';
import { fetchFailure } from './failure.ts';
import type { Headers } from './headers.ts';
import { streamBody } from './stream-body.ts';

const READ_BYTES = 256 * 1024;
const STATUS_OF_CODE: ReadonlyMap<string, number> = new Map([
  ['ENOENT', 404],
  ['ENOTDIR', 404],
  ['ELOOP', 404],
  ['ENAMETOOLONG', 404],
  ['ENXIO', 404],
  ['EACCES', 403],
  ['EPERM', 403],
]);

/** A regular file as it was when opened. */
interface OpenFile {
  readonly handle: FileHandle;
  readonly size: number;
  readonly etag: string;
  readonly lastModified: string;
}

/** The part of a file that is asked for, `last` included. */
interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Answers a `file:` address as a static web server would: `ETag` from size and time of change, 304, 206 with
 * `Content-Range`, 416, 404 for everything that is not a regular file, 403 for what may not be read.
 */
export async function fetchFile(url: URL, request: FetchRequest): Promise<FetchResponse> {
  try {
    request.signal?.throwIfAborted();
    const file = await openFile(localPath(url));
    return typeof file === 'number' ? emptyResponse(url, file, {}) : await answer(url, file, request);
  } catch (error) {
    throw fetchFailure(error, { url, signal: request.signal });
  }
}

function localPath(url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    const address = publicAddress(url);
    throw new SourceError(`cannot fetch ${address}: it does not name a local file`, {
      hint: 'write it as file:///absolute/path',
      url: address,
      cause,
    });
  }
}

async function openFile(path: string): Promise<OpenFile | number> {
  let handle: FileHandle;
  try {
    // A named pipe must not hold us until somebody writes to it.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const status = error instanceof Error && 'code' in error ? STATUS_OF_CODE.get(String(error.code)) : undefined;
    if (status === undefined) throw error;
    return status;
  }
  const stat = await handle.stat({ bigint: true });
  if (!stat.isFile()) {
    await handle.close();
    return 404;
  }
  const etag = `"${stat.size.toString(16)}-${stat.mtimeNs.toString(16)}"`;
  return { handle, size: Number(stat.size), etag, lastModified: stat.mtime.toUTCString() };
}

async function answer(url: URL, file: OpenFile, request: FetchRequest): Promise<FetchResponse> {
  const { handle, size, etag, lastModified } = file;
  const validators = { etag, 'last-modified': lastModified, 'accept-ranges': 'bytes' };
  const asked = request.headers ?? {};
  if (isUnchanged(asked, file)) {
    await handle.close();
    return emptyResponse(url, 304, validators);
  }
  const range = requestedRange(asked, file);
  const { first, last } = range ?? { first: 0, last: size - 1 };
  if (first > last) {
    await handle.close();
    if (range === undefined) return emptyResponse(url, 200, { ...validators, 'content-length': '0' });
    return emptyResponse(url, 416, { ...validators, 'content-range': `bytes */${size}` });
  }
  const length = { 'content-length': String(last - first + 1) };
  const stream = openStream(handle, { first, last }, request.signal);
  return {
    status: range === undefined ? 200 : 206,
    headers: {
      ...validators,
      ...length,
      ...(range === undefined ? {} : { 'content-range': `bytes ${first}-${last}/${size}` }),
    },
    url,
    body: streamBody(stream, { url, signal: request.signal }),
    discard: () => stream.destroy(),
  };
}

/** `If-None-Match` decides alone where both are given (RFC 9110, section 13.1.3). */
function isUnchanged(asked: Headers, file: OpenFile): boolean {
  const tags = asked['if-none-match'];
  if (tags !== undefined) return tags.split(',').some((tag) => tag.trim().replace(/^W\//, '') === file.etag);
  const since = asked['if-modified-since'];
  return since !== undefined && Date.parse(file.lastModified) <= Date.parse(since);
}

/** `undefined`: the whole file, also when `If-Range` says that it is another one now. */
function requestedRange(asked: Headers, file: OpenFile): ByteRange | undefined {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(asked['range'] ?? '') ?? [];
  if (first === undefined || last === undefined) return undefined;
  const validator = asked['if-range'];
  if (validator !== undefined && validator !== file.etag && validator !== file.lastModified) return undefined;
  return { first: Number(first), last: last === '' ? file.size - 1 : Math.min(Number(last), file.size - 1) };
}

function openStream(handle: FileHandle, { first, last }: ByteRange, signal: AbortSignal | undefined): Readable {
  const options = { start: first, end: last, highWaterMark: READ_BYTES };
  const stream = handle.createReadStream(signal === undefined ? options : { ...options, signal });
  // Whoever reads is told through the next read; an abort before that must not raise an unhandled error event.
  return stream.on('error', () => {});
}

function emptyResponse(url: URL, status: number, headers: Headers): FetchResponse {
  return { status, headers, url, body: Readable.from([]), discard: () => {} };
}
