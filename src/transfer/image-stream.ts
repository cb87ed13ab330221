import type { FetchResponse, Fetcher } from '../core/ports.ts';
import { IntegrityError, SourceError } from '../errors.ts';
import { publicAddress } from './address.ts';
import { contentCoding, parseContentLength, parseContentRange, rangeValidator, type Headers } from './headers.ts';
import { backoffMs, pause, type Patience } from './retry.ts';

/** Breaks that come closer together than this count as no progress, so that a server cannot keep us busy for ever. */
const PROGRESS_BYTES = 64n * 1024n;

/** What was received cannot be continued: begin again with a fresh sink. Never leaves this folder. */
export class RestartNeeded extends SourceError {}

/** One image on one server, and how the transfer of it stands. */
export interface ImageStream {
  readonly url: URL;
  /** `undefined`: not known before the server tells, if it does. */
  readonly sizeBytes: bigint | undefined;
  readonly bypassCaches: boolean;
  /** Whether a checksum guards the content, so that the way it comes need not be encrypted. */
  readonly hasDigest: boolean;
  readonly fetcher: Fetcher;
  readonly signal: AbortSignal | undefined;
  readonly patience: Patience;
  /** Kept across restarts, so that these are bounded too. */
  readonly endurance: Endurance;
}

/** Counts breaks without progress, and how far the transfer has come at best. */
interface Endurance {
  failures: number;
  furthestBytes: bigint;
}

/** What is known about the transfer while it runs. */
export interface Reception {
  receivedBytes: bigint;
  resumedAtBytes: bigint;
  /** How long the whole image is, as far as that is known. */
  totalBytes: bigint | undefined;
  /** The address that answered, and its validators. */
  answered: { readonly url: URL; readonly headers: Headers } | undefined;
}

/**
 * The bytes of an image from where its reception stands to its last, across broken connections: each is continued with `Range` and
 * `If-Range` where it broke. Ends early, without an error, when the server itself ends early.
 *
 * @throws RestartNeeded when the server no longer offers the same bytes or cannot continue.
 * @throws SourceError when the address does not offer the image, or breaks too often without progress.
 * @throws IntegrityError when the server announces another size.
 */
export async function* imageBytes(stream: ImageStream, reception: Reception): AsyncGenerator<Uint8Array> {
  const isHeldWholly = reception.receivedBytes > 0n && reception.receivedBytes === stream.sizeBytes;
  if (isHeldWholly) return;
  for (;;) {
    const response = await openResponse(stream, reception);
    try {
      for await (const chunk of response.body) {
        reception.receivedBytes += BigInt(chunk.length);
        yield chunk;
      }
      return;
    } catch (error) {
      if (!(error instanceof SourceError) || stream.signal?.aborted === true) throw error;
      if (hasAll(reception)) return;
      await endure(stream, reception, error);
    }
  }
}

function hasAll({ receivedBytes, totalBytes }: Reception): boolean {
  return totalBytes !== undefined && receivedBytes >= totalBytes;
}

async function openResponse(stream: ImageStream, reception: Reception): Promise<FetchResponse> {
  const response = await fetchFrom(stream, reception);
  try {
    if (reception.receivedBytes === 0n) reception.totalBytes = assertWholeImage(response, stream);
    else assertContinuation(response, reception);
  } catch (error) {
    response.discard();
    throw error;
  }
  reception.answered = response;
  return response;
}

function fetchFrom(stream: ImageStream, reception: Reception): Promise<FetchResponse> {
  const { url, fetcher, signal, hasDigest } = stream;
  const headers = {
    'accept-encoding': 'identity',
    ...(stream.bypassCaches ? { 'cache-control': 'no-cache' } : {}),
    ...continuation(reception),
  };
  const request = { headers, allowInsecureRedirect: hasDigest };
  return fetcher.fetch(url, signal === undefined ? request : { ...request, signal });
}

function continuation({ receivedBytes, answered }: Reception): Headers {
  if (receivedBytes === 0n || answered === undefined) return {};
  const validator = rangeValidator(answered.headers);
  if (validator === undefined) throw new RestartNeeded(`cannot continue ${publicAddress(answered.url)}: no validator`);
  return { range: `bytes=${receivedBytes}-`, 'if-range': validator };
}

/** @returns how long the image is, if the stream or the server tells. */
function assertWholeImage(response: FetchResponse, { sizeBytes }: ImageStream): bigint | undefined {
  assertStatus(response, 200);
  assertIdentity(response);
  const announced = parseContentLength(response.headers['content-length']);
  if (announced === undefined || sizeBytes === undefined) return sizeBytes ?? announced;
  if (announced !== sizeBytes) throw wrongSize(response.url, sizeBytes, announced);
  return sizeBytes;
}

function assertContinuation(response: FetchResponse, reception: Reception): void {
  const { totalBytes } = reception;
  const address = publicAddress(response.url);
  if ([200, 412, 416].includes(response.status)) throw new RestartNeeded(`cannot continue ${address}: it has changed`);
  assertStatus(response, 206);
  assertIdentity(response);
  const range = parseContentRange(response.headers['content-range']);
  const isRest =
    totalBytes !== undefined &&
    range?.first === reception.receivedBytes &&
    range.last === totalBytes - 1n &&
    range.total === totalBytes;
  const etag = response.headers['etag'];
  const isSame = etag === undefined || etag === reception.answered?.headers['etag'];
  if (!isRest || !isSame) throw new RestartNeeded(`cannot continue ${address}: it offers something else`);
  reception.resumedAtBytes = reception.receivedBytes;
}

function assertStatus({ status, url }: FetchResponse, expected: number): void {
  if (status === expected) return;
  const address = publicAddress(url);
  throw new SourceError(`cannot fetch image ${address}: the server answered with status ${status}`, {
    hint:
      status === 404 || status === 410
        ? 'the stream has changed since it was read: run again'
        : 'look at the address from this host, and at the proxy settings',
    url: address,
    httpStatus: status,
  });
}

function assertIdentity({ headers, url }: FetchResponse): void {
  const coding = contentCoding(headers);
  if (coding === 'identity') return;
  const address = publicAddress(url);
  throw new SourceError(`cannot fetch image ${address}: it came with content coding '${coding}', unasked`, {
    hint: 'the server or a proxy changes what it sends: use another mirror, or go without the proxy',
    url: address,
  });
}

/** The error for an image that is longer or shorter than the stream says. */
export function wrongSize(url: URL, expectedBytes: bigint, found: bigint | 'more'): IntegrityError {
  const counted = found === 'more' ? `more than ${expectedBytes}` : String(found);
  const address = publicAddress(url);
  return new IntegrityError(`cannot accept image ${address}: expected ${expectedBytes} bytes, found ${counted}`, {
    expected: String(expectedBytes),
    found: counted,
    hint: 'the server, a cache or a proxy sent something else than the stream describes: run again, or use another mirror',
  });
}

/** Counts a break and waits before the next try; throws the break's own error when there were too many. */
async function endure(stream: ImageStream, reception: Reception, error: SourceError): Promise<void> {
  const { endurance, patience, signal, url } = stream;
  if (reception.receivedBytes >= endurance.furthestBytes + PROGRESS_BYTES) {
    endurance.furthestBytes = reception.receivedBytes;
    endurance.failures = 0;
  }
  if (endurance.failures >= patience.retries) throw error;
  const waitMs = backoffMs(endurance.failures, patience.random);
  endurance.failures += 1;
  await pause(patience, waitMs, { url, signal });
}
