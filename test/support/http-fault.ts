import { setTimeout as delay } from 'node:timers/promises';

/** Something that a server, or a box on the way, does wrong. Offsets count from the start of the body that is sent. */
export type Fault = AnswerFault | BodyFault | HeaderFault;

type AnswerFault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** A page instead of the file, with status 200, as captive portals send. */
  | { readonly kind: 'html' }
  | { readonly kind: 'redirect'; readonly to: string; readonly status?: number };

type BodyFault =
  /** Ends the connection in an orderly way after so many bytes. */
  | { readonly kind: 'truncate'; readonly afterBytes: number }
  /** Resets the connection after this part of the body. */
  | { readonly kind: 'reset'; readonly fraction: number }
  /** Falls silent after so many bytes, and keeps the connection. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  | { readonly kind: 'flip'; readonly offset: number }
  /** Appends bytes, with a matching Content-Length or, when `chunked`, none. */
  | { readonly kind: 'extra'; readonly bytes: number; readonly chunked?: boolean }
  /** Leaves out the last bytes, with a matching Content-Length or, when `chunked`, none. */
  | { readonly kind: 'short'; readonly bytes: number; readonly chunked?: boolean };

type HeaderFault =
  | { readonly kind: 'content-length'; readonly value: number }
  | { readonly kind: 'ignore-range' }
  | { readonly kind: 'content-range'; readonly value: string }
  | { readonly kind: 'etag'; readonly value: string }
  | { readonly kind: 'no-validators' }
  /** Compresses although it was not asked to. */
  | { readonly kind: 'gzip' };

/** A body on its way to the client. */
export interface Body {
  readonly chunks: AsyncIterable<Buffer>;
  readonly length: number;
}

/** What ends the connection in the middle of a body. */
export type Break = 'end' | 'reset' | 'silence';

export class BodyBreak extends Error {
  readonly how: Break;

  constructor(how: Break) {
    super(how);
    this.how = how;
  }
}

/** The body as faults leave it; a `BodyBreak` while it is read says how the connection goes on. */
export function damageBody(body: Body, faults: readonly Fault[]): Body {
  let damaged = body;
  for (const fault of faults) damaged = damageOnce(damaged, fault);
  return damaged;
}

/** The fault of one kind among several. */
export function findFault<K extends Fault['kind']>(
  faults: readonly Fault[],
  kind: K,
): Extract<Fault, { readonly kind: K }> | undefined {
  return faults.find((fault): fault is Extract<Fault, { readonly kind: K }> => fault.kind === kind);
}

function damageOnce({ chunks, length }: Body, fault: Fault): Body {
  if (fault.kind === 'truncate') return { length, chunks: breakAfter(chunks, fault.afterBytes, 'end') };
  if (fault.kind === 'stall') return { length, chunks: breakAfter(chunks, fault.afterBytes, 'silence') };
  if (fault.kind === 'reset')
    return { length, chunks: breakAfter(chunks, Math.floor(length * fault.fraction), 'reset') };
  if (fault.kind === 'slow') return { length, chunks: slowly(chunks, fault.bytesPerSecond) };
  if (fault.kind === 'flip') return { length, chunks: flip(chunks, fault.offset) };
  if (fault.kind === 'extra')
    return { length: length + fault.bytes, chunks: append(chunks, Buffer.alloc(fault.bytes)) };
  if (fault.kind === 'short') return { length: length - fault.bytes, chunks: take(chunks, length - fault.bytes) };
  return { chunks, length };
}

async function* take(chunks: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer> {
  let left = count;
  for await (const chunk of chunks) {
    if (left <= 0) return;
    yield chunk.subarray(0, left);
    left -= chunk.length;
  }
}

async function* breakAfter(chunks: AsyncIterable<Buffer>, count: number, how: Break): AsyncGenerator<Buffer> {
  yield* take(chunks, count);
  throw new BodyBreak(how);
}

async function* append(chunks: AsyncIterable<Buffer>, more: Buffer): AsyncGenerator<Buffer> {
  yield* chunks;
  yield more;
}

async function* flip(chunks: AsyncIterable<Buffer>, offset: number): AsyncGenerator<Buffer> {
  let start = 0;
  for await (const chunk of chunks) {
    const index = offset - start;
    const old = chunk[index];
    if (old !== undefined) chunk[index] = old ^ 0xff;
    start += chunk.length;
    yield chunk;
  }
}

async function* slowly(chunks: AsyncIterable<Buffer>, bytesPerSecond: number): AsyncGenerator<Buffer> {
  const step = Math.max(1, Math.floor(bytesPerSecond / 20));
  const start = performance.now();
  let sent = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += step) {
      const piece = chunk.subarray(at, at + step);
      sent += piece.length;
      const due = start + (sent / bytesPerSecond) * 1000;
      if (due > performance.now()) await delay(due - performance.now());
      yield piece;
    }
  }
}
