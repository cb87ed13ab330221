import type { Fetcher, ImageSink } from '../core/ports.ts';
import type { Validators } from '../core/partial-image.ts';
import type { Digest } from '../core/record.ts';
import { IntegrityError, SourceError } from '../errors.ts';
import { publicAddress } from './address.ts';
import { imageBytes, RestartNeeded, wrongSize, type ImageStream, type Reception } from './image-stream.ts';
import { ImageWriter, SLAB_BYTES } from './image-writer.ts';
import type { Headers } from './headers.ts';
import { defaultPatience, type Sleep } from './retry.ts';

/** One image to bring, and what its bytes must be. */
export interface ImageTransfer {
  /** The primary address, then mirrors: the next is tried when one cannot be reached or does not offer the image. */
  readonly urls: readonly URL[];
  readonly sizeBytes: bigint;
  readonly digest: Digest;
  /** How many of the first bytes `openSink` is shown; fewer when the image is smaller, and never more than 1 MiB. */
  readonly headBytes: number;
  /**
   * What the receiver holds of the image at this moment; asked before each address. Fewer bytes than the head has are
   * fetched again.
   */
  held?(): HeldPart | undefined;
  /** Ask proxies for a fresh copy: for a second try after an IntegrityError. */
  readonly bypassCaches?: boolean;
  /**
   * Judges the first bytes and opens what takes the image from `start` on; called before anything behind them is read.
   * What it throws ends the transfer. It is called again, after the former sink was aborted, when a server cannot continue
   * where it broke, or another address is tried.
   */
  openSink(head: Uint8Array, start: SinkStart): Promise<ImageSink>;
  /** Called with the bytes received so far, which fall back when the transfer begins again. */
  onProgress?(bytes: bigint): void;
}

/** The first bytes of an image, as an earlier transfer brought them. */
export interface HeldPart extends Validators {
  readonly bytes: bigint;
  /** The bytes anew, from the first to the last of them. */
  read(): AsyncIterable<Uint8Array>;
}

/** Where a sink begins, and what the server said about the image. */
export interface SinkStart extends Validators {
  readonly offset: bigint;
}

export interface TransferContext {
  readonly fetcher: Fetcher;
  readonly signal?: AbortSignal;
  /** Breaks in a row, without progress, that are borne. Default: 4. */
  readonly retries?: number;
  readonly sleep?: Sleep;
  /** From 0 up to, not including, 1. */
  readonly random?: () => number;
}

export interface TransferredImage {
  /** The one of the given addresses that led there. */
  readonly requestedUrl: URL;
  /** The address that answered, after redirects. */
  readonly url: URL;
  readonly bytes: bigint;
  /** How many of them the receiver held before. */
  readonly heldBytes: bigint;
  /** Where the last broken connection was continued; 0 when none broke. */
  readonly resumedAtBytes: bigint;
  readonly etag: string | undefined;
}

/**
 * Brings an image from the first address that has it into a sink, hashing on the way. What the receiver holds already is
 * hashed, not fetched: if the sender still has the same image, the transfer goes on behind it. The sink's `finish` is called only
 * once size and digest are right; after any failure it is aborted. Memory use does not depend on the image's size.
 *
 * @throws SourceError when no address offers the image.
 * @throws IntegrityError when there are fewer or more bytes than `sizeBytes`, or their digest is another one.
 */
export async function transferImage(job: ImageTransfer, context: TransferContext): Promise<TransferredImage> {
  const failures: SourceError[] = [];
  for (const url of job.urls) {
    try {
      return await transferFrom(url, job, context);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      failures.push(error);
    }
  }
  throw noAddressLeft(failures);
}

async function transferFrom(url: URL, job: ImageTransfer, context: TransferContext): Promise<TransferredImage> {
  const stream: ImageStream = {
    url,
    sizeBytes: job.sizeBytes,
    bypassCaches: job.bypassCaches ?? false,
    hasDigest: true,
    fetcher: context.fetcher,
    signal: context.signal,
    patience: defaultPatience(context),
    endurance: { failures: 0, furthestBytes: 0n },
  };
  const held = job.held?.();
  const image = await transferOnce(stream, job, held !== undefined && held.bytes >= job.headBytes ? held : undefined);
  return image === 'restart' ? transferWhole(stream, job) : image;
}

/** Every restart follows a break that the stream has counted, so their number is bounded. */
async function transferWhole(stream: ImageStream, job: ImageTransfer): Promise<TransferredImage> {
  for (;;) {
    const image = await transferOnce(stream, job, undefined);
    if (image !== 'restart') return image;
  }
}

async function transferOnce(
  stream: ImageStream,
  job: ImageTransfer,
  held: HeldPart | undefined,
): Promise<TransferredImage | 'restart'> {
  const reception = receptionBehind(held, stream.url, job.sizeBytes);
  const writer = new ImageWriter({
    algorithm: job.digest.algorithm,
    headBytes: Math.min(job.headBytes, SLAB_BYTES, Number(job.sizeBytes)),
    openSink: (head) =>
      job.openSink(head, { offset: writer.recalledBytes, ...validatorsOf(reception.answered?.headers) }),
  });
  try {
    if (held !== undefined) await recall(held, writer, stream);
    await receive(stream, reception, { job, writer });
    const url = reception.answered?.url ?? stream.url;
    assertDigest(await writer.drain(), job.digest, url);
    await writer.finish();
    const { receivedBytes: bytes, resumedAtBytes } = reception;
    const { etag } = validatorsOf(reception.answered?.headers);
    return { requestedUrl: stream.url, url, bytes, heldBytes: writer.recalledBytes, resumedAtBytes, etag };
  } catch (error) {
    await writer.abort();
    if (error instanceof RestartNeeded) return 'restart';
    throw error;
  }
}

/** What was held counts as received under the validators of that time, so that the stream continues it like a break. */
function receptionBehind(held: HeldPart | undefined, url: URL, totalBytes: bigint): Reception {
  const nothing = { receivedBytes: 0n, resumedAtBytes: 0n, totalBytes, answered: undefined };
  if (held === undefined) return nothing;
  const { bytes, etag, lastModified } = held;
  const headers = {
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { 'last-modified': lastModified }),
  };
  return { ...nothing, receivedBytes: bytes, answered: { url, headers } };
}

function validatorsOf(headers: Headers | undefined): Validators {
  return { etag: headers?.['etag'], lastModified: headers?.['last-modified'] };
}

async function recall(held: HeldPart, writer: ImageWriter, { url, signal }: ImageStream): Promise<void> {
  for await (const chunk of held.read()) {
    signal?.throwIfAborted();
    writer.recall(chunk);
  }
  if (writer.recalledBytes === held.bytes) return;
  throw new RestartNeeded(`cannot continue ${publicAddress(url)}: not all that was received is still there`);
}

async function receive(
  stream: ImageStream,
  reception: Reception,
  { job, writer }: { readonly job: ImageTransfer; readonly writer: ImageWriter },
): Promise<void> {
  const { sizeBytes } = job;
  for await (const chunk of imageBytes(stream, reception)) {
    if (reception.receivedBytes > sizeBytes) throw wrongSize(stream.url, sizeBytes, 'more');
    await writer.add(chunk);
    job.onProgress?.(reception.receivedBytes);
  }
  if (reception.receivedBytes < sizeBytes) throw wrongSize(stream.url, sizeBytes, reception.receivedBytes);
}

function assertDigest(found: string, { algorithm, hex }: Digest, url: URL): void {
  const expected = hex.toLowerCase();
  if (found === expected) return;
  throw new IntegrityError(
    `cannot accept image ${publicAddress(url)}: expected ${algorithm} ${expected}, found ${found}`,
    {
      expected,
      found,
      hint: 'the server, a cache or a proxy sent something else than the stream describes: run again, or use another mirror',
    },
  );
}

function noAddressLeft(failures: readonly SourceError[]): SourceError {
  const [first] = failures;
  if (first !== undefined && failures.length === 1) return first;
  const reasons = failures.map(({ message }) => message).join('; ');
  const isUniform = failures.every(({ httpStatus }) => httpStatus === first?.httpStatus);
  return new SourceError(`cannot fetch the image from any of its ${failures.length} addresses: ${reasons}`, {
    ...(first?.hint === undefined ? {} : { hint: first.hint }),
    ...(isUniform && first?.httpStatus !== undefined ? { httpStatus: first.httpStatus } : {}),
    cause: new AggregateError(failures),
  });
}
