import type { ImageSink } from '../../src/core/ports.ts';

type SinkState = 'open' | 'finished' | 'aborted';

/** An `ImageSink` that keeps what it was given, and how it ended. */
export interface MemorySink extends ImageSink {
  readonly state: SinkState;
  /** A copy of every byte written. */
  bytes(): Buffer;
}

/** Opens an empty sink. `write` comes back later, as a real one does, so that a slab reused too early shows. */
export function openMemorySink(): MemorySink {
  const chunks: Buffer[] = [];
  let state: SinkState = 'open';
  return {
    get state() {
      return state;
    },
    bytes: () => Buffer.concat(chunks),
    async write(chunk) {
      if (state !== 'open') throw new Error(`write to a sink that is ${state}`);
      await new Promise(setImmediate);
      chunks.push(Buffer.from(chunk));
    },
    async finish() {
      if (state !== 'open') throw new Error(`finish of a sink that is ${state}`);
      state = 'finished';
    },
    async abort() {
      if (state === 'finished') throw new Error('abort of a sink that is finished');
      state = 'aborted';
    },
  };
}
