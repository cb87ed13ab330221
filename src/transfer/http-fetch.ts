import { pipeline } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import type { Dispatcher } from 'undici';

import type { FetchRequest, FetchResponse } from '../core/ports.ts';
import { SourceError } from '../errors.ts';
import { publicAddress, splitCredentials, type Address } from './address.ts';
import type { Dispatchers, Route, Timeouts } from './dispatchers.ts';
import { fetchFailure, isTransientFailure } from './failure.ts';
import { contentCoding, flattenHeaders, withoutHeaders, type Headers } from './headers.ts';
import { MOST_REDIRECTS, redirectLoop, redirectTarget } from './redirect.ts';
import { backoffMs, isTransientStatus, pause, retryAfterMs, type Patience } from './retry.ts';
import { streamBody } from './stream-body.ts';

/** Answers without content, whose headers may still tell the coding that it would have. */
const EMPTY_STATUSES: readonly number[] = [204, 304];

/** A body this short that nobody wants is read out, so that its connection can be used again. */
const SHORT_BODY_BYTES = 16 * 1024;

/** How much of a body may wait to be taken. With the 64 KiB of streams the connection is stopped at every other read. */
const READ_AHEAD_BYTES = 512 * 1024;

/** What every HTTP request of one fetcher shares. */
export interface HttpContext {
  readonly dispatchers: Dispatchers;
  readonly timeouts: Timeouts;
  readonly patience: Patience;
  readonly userAgent: string;
}

/**
 * Gets an http(s) address: follows redirects, retries until an answer has come, decodes gzip if the request did not
 * choose a coding itself. Resolves with any status; once a body has begun, its failure is the caller's to mend.
 */
export async function fetchHttp(url: URL, request: FetchRequest, context: HttpContext): Promise<FetchResponse> {
  let address = firstAddress(url, request);
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const response = await fetchPatiently(address, request, context);
    const target = redirectOf(address, response, request);
    if (target === undefined) return response;
    response.discard();
    address = target;
  }
  throw redirectLoop(url);
}

/** Credentials travel in the address alone, so that a redirect cannot carry them to another origin. */
function firstAddress(url: URL, request: FetchRequest): Address {
  const address = splitCredentials(url);
  return { ...address, authorization: address.authorization ?? request.headers?.['authorization'] };
}

function redirectOf(from: Address, response: FetchResponse, request: FetchRequest): Address | undefined {
  try {
    return redirectTarget(from, response, request.allowInsecureRedirect ?? false);
  } catch (error) {
    response.discard();
    throw error;
  }
}

async function fetchPatiently(address: Address, request: FetchRequest, context: HttpContext): Promise<FetchResponse> {
  const { retries, random } = context.patience;
  for (let attempt = 0; ; attempt++) {
    const isLast = attempt >= retries;
    const outcome = await fetchOnce(address, request, context, isLast);
    if (!('retryAfterMs' in outcome)) return outcome;
    const waitMs = Math.max(backoffMs(attempt, random), outcome.retryAfterMs);
    await pause(context.patience, waitMs, { url: address.url, signal: request.signal });
  }
}

/** One try: a response, or how long the server wants us to wait before the next. */
async function fetchOnce(
  address: Address,
  request: FetchRequest,
  context: HttpContext,
  isLast: boolean,
): Promise<FetchResponse | { readonly retryAfterMs: number }> {
  const { signal } = request;
  const route = await context.dispatchers.routeTo(address.url);
  // Only in the next turn undici knows that the connection of an answer is free again; before it opens another.
  await setImmediate();
  try {
    signal?.throwIfAborted();
    const answer = await send(address, request, context, route);
    if (isLast || !isTransientStatus(answer.statusCode)) return toResponse(answer, address, request, route);
    discard(answer);
    return { retryAfterMs: retryAfterMs(flattenHeaders(answer.headers)) };
  } catch (error) {
    if (!isLast && signal?.aborted !== true && isTransientFailure(error)) return { retryAfterMs: 0 };
    throw fetchFailure(error, { url: address.url, proxy: route.proxy, signal });
  }
}

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Dispatcher.ResponseData['body'];
}

async function send(address: Address, request: FetchRequest, context: HttpContext, route: Route): Promise<Answer> {
  const { url, authorization } = address;
  return route.dispatcher.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method: 'GET',
    headers: {
      'user-agent': context.userAgent,
      'accept-encoding': choosesCoding(request) ? 'identity' : 'gzip',
      ...withoutHeaders(request.headers ?? {}, ['authorization']),
      ...(authorization === undefined ? {} : { authorization }),
    },
    headersTimeout: context.timeouts.headersMs,
    bodyTimeout: context.timeouts.stallMs,
    highWaterMark: READ_AHEAD_BYTES,
    signal: request.signal ?? null,
  });
}

function toResponse(answer: Answer, { url }: Address, request: FetchRequest, route: Route): FetchResponse {
  const { statusCode: status, body } = answer;
  // Whoever stops reading or never starts must not be hit by the stream's own error event.
  body.on('error', ignore);
  const headers = flattenHeaders(answer.headers);
  const failed = { url, proxy: route.proxy, signal: request.signal };
  if (choosesCoding(request) || contentCoding(headers) === 'identity' || EMPTY_STATUSES.includes(status)) {
    return { status, headers, url, body: streamBody(body, failed), discard: () => discard(answer) };
  }
  return { status, url, ...decoded(answer, headers, failed), discard: () => discard(answer) };
}

/** Headers that describe the coded bytes go, as the body no longer holds these. */
function decoded(
  answer: Answer,
  headers: Headers,
  failed: { readonly url: URL; readonly proxy: URL | undefined; readonly signal: AbortSignal | undefined },
): Pick<FetchResponse, 'headers' | 'body'> {
  const coding = contentCoding(headers);
  if (!['gzip', 'x-gzip'].includes(coding)) {
    discard(answer);
    const address = publicAddress(failed.url);
    throw new SourceError(`cannot fetch ${address}: its content coding '${coding}' was not asked for`, {
      hint: 'the server or a proxy ignores Accept-Encoding: use another mirror',
      url: address,
    });
  }
  const plain = pipeline(answer.body, createGunzip(), ignore);
  return { headers: withoutHeaders(headers, ['content-encoding', 'content-length']), body: streamBody(plain, failed) };
}

/** A request that names its coding, or a range, which counts bytes as they are stored, gets the body untouched. */
function choosesCoding({ headers }: FetchRequest): boolean {
  return headers?.['accept-encoding'] !== undefined || headers?.['range'] !== undefined;
}

function discard({ statusCode, headers, body }: Answer): void {
  body.on('error', ignore);
  const isShort = EMPTY_STATUSES.includes(statusCode) || Number(headers['content-length']) <= SHORT_BODY_BYTES;
  if (isShort) void body.dump({ limit: SHORT_BODY_BYTES });
  else body.destroy();
}

function ignore(): void {}
