import type { Readable } from 'node:stream';

import { fetchFailure, type FailedRequest } from './failure.ts';

/** The bytes of a response; a failure on the way becomes a PoolkeeperError, and leaving early frees the stream. */
export async function* streamBody(stream: Readable, request: FailedRequest): AsyncGenerator<Uint8Array> {
  const chunks: AsyncIterable<Uint8Array> = stream;
  try {
    for await (const chunk of chunks) yield chunk;
  } catch (error) {
    throw fetchFailure(error, request);
  }
}
