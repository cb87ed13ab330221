import type { CachedDocument, DocumentCache, Fetcher, FetchResponse } from '../core/ports.ts';
import { SourceError } from '../errors.ts';
import { looksLikeHtml } from './json.ts';
import { LIMITS } from './limits.ts';
import { displayUrl } from './source.ts';

export interface DownloadContext {
  readonly fetcher: Fetcher;
  readonly cache?: DocumentCache;
  /** Asks every cache on the way for a fresh copy, and does without the one kept here. */
  readonly bypassCaches?: boolean;
  readonly signal?: AbortSignal;
  /** How long one document may take in all. */
  readonly documentTimeoutMs?: number;
}

/** One document or signature as the source has it now. */
export interface Download {
  readonly url: string;
  readonly document: CachedDocument;
  /** The bytes are those of the cache: the server said so, or they are the same. */
  readonly isUnchanged: boolean;
  /** They were not sent: nothing needs to be kept anew. */
  readonly isFromCache: boolean;
}

/** What a source answered when it was asked for one document or signature. */
export interface Answer {
  /** Without credentials. */
  readonly url: string;
  /** As the server sent them. */
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** The answer that a download rests on. */
export function answerOf({ url, document: { etag, lastModified } }: Download): Answer {
  return { url, etag, lastModified };
}

/**
 * Asks whether a source would still answer the same, without the content. Without a validator nobody can tell. A response
 * that says otherwise is left to the fetcher, whose next request will be for it.
 *
 * @throws SourceError when the source cannot be reached.
 */
export async function isStillTheAnswer(url: URL, answer: Answer, context: DownloadContext): Promise<boolean> {
  if (answer.etag === undefined && answer.lastModified === undefined) return false;
  return inTime(answer.url, context, async ({ fetcher, signal }) => {
    const response = await fetcher.fetch(url, { headers: validators(answer), signal });
    if (response.status !== 304) return false;
    response.discard();
    return true;
  });
}

/**
 * Fetches one document into memory, with a conditional request where the cache has a copy.
 *
 * @throws SourceError when the server answers anything but 200 or 304, answers HTML, or the answer exceeds `maxBytes`.
 */
export async function download(url: URL, maxBytes: number, context: DownloadContext): Promise<Download> {
  const name = displayUrl(url);
  return inTime(name, context, (timed) => request(url, name, maxBytes, timed));
}

type TimedContext = DownloadContext & { readonly signal: AbortSignal };

async function inTime<T>(
  name: string,
  context: DownloadContext,
  send: (context: TimedContext) => Promise<T>,
): Promise<T> {
  const timeoutMs = context.documentTimeoutMs ?? LIMITS.documentTimeoutMs;
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = context.signal === undefined ? deadline : AbortSignal.any([context.signal, deadline]);
  try {
    return await send({ ...context, signal });
  } catch (cause) {
    if (!deadline.aborted || context.signal?.aborted === true) throw cause;
    throw new SourceError(`cannot read ${name}: not complete after ${timeoutMs / 1000} s`, { cause, url: name });
  }
}

async function request(url: URL, name: string, maxBytes: number, context: TimedContext): Promise<Download> {
  const cached = await context.cache?.read(name);
  const headers = context.bypassCaches === true ? { 'cache-control': 'no-cache' } : validators(cached);
  const response = await context.fetcher.fetch(url, { headers, signal: context.signal });
  if (response.status === 304 && cached !== undefined) {
    response.discard();
    return { url: name, document: cached, isUnchanged: true, isFromCache: true };
  }
  if (response.status !== 200) {
    response.discard();
    throw statusError(response.status, name);
  }
  const bytes = await readBody(response, maxBytes, name);
  assertNotHtml(bytes, name);
  const { etag, 'last-modified': lastModified } = response.headers;
  const isUnchanged = cached !== undefined && Buffer.compare(cached.bytes, bytes) === 0;
  return { url: name, document: { bytes, etag, lastModified }, isUnchanged, isFromCache: false };
}

function validators(cached: Pick<Answer, 'etag' | 'lastModified'> | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  if (cached?.etag !== undefined) headers['if-none-match'] = cached.etag;
  if (cached?.lastModified !== undefined) headers['if-modified-since'] = cached.lastModified;
  return headers;
}

async function readBody(response: FetchResponse, maxBytes: number, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > maxBytes) {
      response.discard();
      throw new SourceError(`cannot use ${name}: it is larger than ${maxBytes} bytes`, { url: name });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

function assertNotHtml(bytes: Uint8Array, name: string): void {
  if (!looksLikeHtml(bytes)) return;
  throw new SourceError(`cannot use ${name}: it is HTML, not JSON`, {
    url: name,
    hint: 'a proxy or a login page may have answered in place of the source',
  });
}

function statusError(httpStatus: number, name: string): SourceError {
  return new SourceError(`cannot read ${name}: ${answerText(httpStatus, name)}`, {
    url: name,
    httpStatus,
    hint: httpStatus === 404 ? missingHint(name) : failureHint(httpStatus),
  });
}

function answerText(httpStatus: number, name: string): string {
  const isMissing = httpStatus === 404 && name.startsWith('file:');
  return isMissing ? 'there is no such file' : `the server answered ${httpStatus}`;
}

function failureHint(httpStatus: number): string {
  return httpStatus >= 500 ? 'the server has a problem: run again later' : 'check the address and who may read it';
}

function missingHint(name: string): string {
  if (name.endsWith('.gpg')) return 'the source does not sign this document; a .sjson beside it may be signed';
  if (name.endsWith('/streams/v1/index.sjson')) {
    return 'the address must be that of the directory that holds streams/; unsigned sources have --path streams/v1/index.json';
  }
  return 'check --path if you gave one; else the stream may just have changed: run again';
}
