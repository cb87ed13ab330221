import type { ImageSink } from '../../src/core/ports.ts';
import { PoolkeeperError } from '../../src/errors.ts';
import { createFetcher } from '../../src/transfer/fetcher.ts';
import {
  transferImage,
  type ImageTransfer,
  type TransferContext,
  type TransferredImage,
} from '../../src/transfer/image-transfer.ts';
import { startHttpServer, type HttpServer } from './http-server.ts';
import { openMemorySink, type MemorySink } from './memory-sink.ts';
import { digestOf, impatient, type TransferFixture } from './transfer-fixture.ts';

/** How a transfer ended, and what it took. */
export interface Outcome {
  /** The exit status and code of the error; `undefined` after success. */
  readonly exit: number | undefined;
  readonly code: string | undefined;
  /** How each sink ended, in the order they were opened. */
  readonly sinks: readonly string[];
  /** `Range` of each request, in order. */
  readonly ranges: readonly (string | undefined)[];
}

/** A server with an image, and somebody to receive it. */
export interface ImageBench {
  readonly server: HttpServer;
  readonly sinks: MemorySink[];
  /** The first bytes as `openSink` saw them, once for each sink. */
  readonly heads: Buffer[];
  openSink(head: Uint8Array): Promise<ImageSink>;
  transfer(changes?: Partial<ImageTransfer>, context?: Partial<TransferContext>): Promise<TransferredImage>;
  outcomeOf(transfer: Promise<TransferredImage>): Promise<Outcome>;
}

export const HEAD_BYTES = 65_536;

/** Starts a server for `disk.img` of the fixture; it is stopped through `server`. */
export async function startImageBench({ root, image }: TransferFixture): Promise<ImageBench> {
  const server = await startHttpServer(root);
  const sinks: MemorySink[] = [];
  const heads: Buffer[] = [];
  const openSink = async (head: Uint8Array): Promise<ImageSink> => {
    heads.push(Buffer.from(head));
    const sink = openMemorySink();
    sinks.push(sink);
    return sink;
  };
  const job: ImageTransfer = {
    urls: [new URL('disk.img', server.url)],
    sizeBytes: BigInt(image.length),
    digest: digestOf(image),
    headBytes: HEAD_BYTES,
    openSink,
  };
  return {
    server,
    sinks,
    heads,
    openSink,
    async transfer(changes = {}, context = {}) {
      const options = impatient();
      const fetcher = createFetcher(options);
      const { sleep, random } = options;
      try {
        return await transferImage({ ...job, ...changes }, { fetcher, sleep, random, ...context });
      } finally {
        await fetcher.close();
      }
    },
    async outcomeOf(transfer) {
      const error: unknown = await transfer.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error !== undefined && !(error instanceof PoolkeeperError)) throw error;
      return {
        exit: error?.exitStatus,
        code: error?.code,
        sinks: sinks.map(({ state }) => state),
        ranges: server.requests.map(({ headers }) => headers.range),
      };
    },
  };
}
