import { createReadStream, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { createGzip } from 'node:zlib';

import { damageBody, findFault, type Body, type Fault } from './http-fault.ts';

const READ_BYTES = 1024 * 1024;

/** What a server sends for one request. */
export interface Representation {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body | undefined;
}

interface Validators {
  readonly etag: string;
  readonly 'last-modified': string;
}

/** Answers a request for a file: 404, 304, 416, 206 or 200, as its headers ask, and damaged as the faults say. */
export async function representFile(
  path: string,
  headers: IncomingHttpHeaders,
  faults: readonly Fault[],
): Promise<Representation> {
  const file = await stat(path).catch(() => undefined);
  if (file?.isFile() !== true) return { status: 404, headers: { 'content-length': '0' }, body: undefined };
  const isGzip = findFault(faults, 'gzip') !== undefined || acceptsGzip(path, headers);
  const validators = validatorsOf(file, isGzip, faults);
  if (headers['if-none-match']?.split(', ').includes(validators.etag) === true) {
    return { status: 304, headers: { ...validators }, body: undefined };
  }
  if (!isGzip) return partOf({ path, size: file.size, validators, faults }, headers);
  const chunks = createReadStream(path).pipe(createGzip());
  return {
    status: 200,
    headers: { ...validators, 'content-encoding': 'gzip' },
    body: damageBody({ chunks, length: file.size }, faults),
  };
}

function acceptsGzip(path: string, headers: IncomingHttpHeaders): boolean {
  return path.endsWith('.json') && /\bgzip\b/.test(String(headers['accept-encoding']));
}

/** The tag of a compressed file has the suffix that Apache's mod_deflate gives it. */
function validatorsOf(file: Stats, isGzip: boolean, faults: readonly Fault[]): Validators {
  const tag = findFault(faults, 'etag')?.value ?? `"${file.size.toString(16)}-${file.mtimeMs.toString(16)}"`;
  return { etag: isGzip ? tag.replace(/"$/, '-gzip"') : tag, 'last-modified': file.mtime.toUTCString() };
}

interface ServedFile {
  readonly path: string;
  readonly size: number;
  readonly validators: Validators;
  readonly faults: readonly Fault[];
}

function partOf({ path, size, validators, faults }: ServedFile, asked: IncomingHttpHeaders): Representation {
  const first = findFault(faults, 'ignore-range') === undefined ? firstByte(asked, validators) : undefined;
  const common = { ...validators, 'accept-ranges': 'bytes' };
  if (first !== undefined && first >= size) {
    return { status: 416, headers: { ...common, 'content-range': `bytes */${size}` }, body: undefined };
  }
  const start = first ?? 0;
  const chunks = createReadStream(path, { start, highWaterMark: READ_BYTES });
  const body = damageBody({ chunks, length: size - start }, faults);
  const headers = isChunked(faults) ? common : { ...common, 'content-length': String(body.length) };
  if (first === undefined) return { status: 200, headers, body };
  return { status: 206, headers: { ...headers, 'content-range': `bytes ${first}-${size - 1}/${size}` }, body };
}

function isChunked(faults: readonly Fault[]): boolean {
  return faults.some((fault) => 'chunked' in fault && fault.chunked);
}

/** `undefined`: the whole file is sent. */
function firstByte(
  asked: IncomingHttpHeaders,
  { etag, 'last-modified': lastModified }: Validators,
): number | undefined {
  const first = /^bytes=(\d+)-$/.exec(asked.range ?? '')?.[1];
  const condition = asked['if-range'];
  const holds = condition === undefined || condition === etag || condition === lastModified;
  return first === undefined || !holds ? undefined : Number(first);
}
