import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { addAbortSignal, type Readable } from 'node:stream';
import type { Fetcher } from '../core/ports.ts';
import { FailureError, IntegrityError, SourceError } from '../errors.ts';
import { publicAddress } from './address.ts';
import { imageBytes, type Reception, wrongSize } from './image-stream.ts';
import { defaultPatience } from './retry.ts';

/** Where the bytes of an image come from that an administrator brings in. */
export interface ImageSource {
  /** For records and messages; without credentials. */
  readonly address: string;
  /** `undefined`: not known before the end. */
  readonly sizeBytes: bigint | undefined;
  /** All bytes, once; its failures are PoolkeeperErrors. */
  readonly bytes: AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

const READ_BYTES = 1024 * 1024;

/** What opening or reading a file may run into, in words. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['ENOTDIR', 'there is no such file'],
  ['EACCES', 'it may not be read'],
  ['EPERM', 'it may not be read'],
  ['EISDIR', 'it is a directory'],
  ['ELOOP', 'its symbolic links lead in a circle'],
]);

/**
 * Opens a file, a block device or a pipe.
 *
 * @throws FailureError when it is none of these, or cannot be read.
 */
export async function openFileSource(path: string, signal: AbortSignal): Promise<ImageSource> {
  const handle = await openForReading(path);
  try {
    const status = await handle.stat({ bigint: true });
    if (status.isDirectory()) throw unreadable(path, 'it is a directory');
    const sizeBytes = status.isFile() ? status.size : undefined;
    const bytes = fileBytes(handle, { path, sizeBytes, signal });
    return { address: `file://${path}`, sizeBytes, bytes, close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Reads what is piped into the program. */
export function standardInputSource(input: Readable, signal: AbortSignal): ImageSource {
  const close = async (): Promise<void> => {
    input.destroy();
  };
  return { address: 'standard input', sizeBytes: undefined, bytes: pipedBytes(input, signal), close };
}

/** A pipe may be silent for ever, so a request to stop ends it. */
async function* pipedBytes(input: Readable, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const chunks: AsyncIterable<Uint8Array> = addAbortSignal(signal, input);
  try {
    yield* chunks;
  } catch (cause) {
    signal.throwIfAborted();
    throw unreadable('standard input', cause);
  }
}

/** What an address is asked for, and how patiently. */
export interface RemoteImage {
  readonly url: URL;
  readonly fetcher: Fetcher;
  readonly signal: AbortSignal;
  /** Breaks in a row, without progress, that are borne. */
  readonly retries: number;
  readonly hasDigest: boolean;
}

/**
 * Asks an address for an image, and goes on where the connection breaks.
 *
 * @throws SourceError when it does not offer one.
 */
export async function openRemoteSource(image: RemoteImage): Promise<ImageSource> {
  const { url, fetcher, signal, hasDigest, retries } = image;
  const reception: Reception = { receivedBytes: 0n, resumedAtBytes: 0n, totalBytes: undefined, answered: undefined };
  const stream = {
    url,
    fetcher,
    signal,
    hasDigest,
    sizeBytes: undefined,
    bypassCaches: false,
    patience: defaultPatience({ retries }),
    endurance: { failures: 0, furthestBytes: 0n },
  };
  const chunks = imageBytes(stream, reception);
  // The server says how long the image is when it sends the first of it.
  const first = await chunks.next().catch((error: unknown) => explain(error, url));
  const bytes = remoteBytes(first, chunks, { url, reception });
  const close = async (): Promise<void> => {
    await chunks.return(undefined);
  };
  return { address: publicAddress(url), sizeBytes: reception.totalBytes, bytes, close };
}

async function* remoteBytes(
  first: IteratorResult<Uint8Array, unknown>,
  rest: AsyncGenerator<Uint8Array>,
  { url, reception }: { readonly url: URL; readonly reception: Reception },
): AsyncGenerator<Uint8Array> {
  try {
    if (first.done !== true) yield first.value;
    yield* rest;
  } catch (error) {
    explain(error, url);
  }
  const { receivedBytes, totalBytes } = reception;
  if (totalBytes !== undefined && totalBytes !== receivedBytes) throw wrongSize(url, totalBytes, receivedBytes);
}

/** Hints for images of a stream would lead astray here. */
function explain(error: unknown, url: URL): never {
  if (!(error instanceof SourceError)) throw error;
  const isMissing = error.httpStatus === 404 || error.httpStatus === 410;
  if (!isMissing && error.hint !== undefined) throw error;
  const { httpStatus } = error;
  throw new SourceError(error.message, {
    hint: isMissing ? 'check the spelling of the address' : 'run again',
    url: publicAddress(url),
    ...(httpStatus !== undefined && { httpStatus }),
  });
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

interface OpenFile {
  readonly path: string;
  readonly sizeBytes: bigint | undefined;
  readonly signal: AbortSignal;
}

async function* fileBytes(handle: FileHandle, { path, sizeBytes, signal }: OpenFile): AsyncGenerator<Uint8Array> {
  let total = 0n;
  for await (const chunk of chunksOf(handle, path)) {
    signal.throwIfAborted();
    total += BigInt(chunk.length);
    yield chunk;
  }
  if (sizeBytes === undefined || total === sizeBytes) return;
  throw new IntegrityError(`cannot import '${path}': it had ${sizeBytes} bytes, and then ${total}`, {
    hint: 'wait until whatever writes to it has finished',
  });
}

async function* chunksOf(handle: FileHandle, path: string): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): FailureError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const words = cause instanceof Error ? cause.message : String(cause);
  return new FailureError(`cannot import '${path}': ${REASONS.get(code) ?? words}`, {
    cause,
    hint: 'name a file with an image, an http(s) address, or - for standard input',
  });
}
