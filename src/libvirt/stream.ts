import { LibvirtError } from '../errors.ts';
import { withVolume } from './handles.ts';
import type { ImageSink } from '../core/ports.ts';
import type { Connection } from './connection.ts';
import type { Lane } from './lane.ts';
import type { StreamHandle } from './signatures.ts';

/**
 * What virsh sends at a time: the longest message of old protocols (VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX). Longer ones are
 * allowed, but libvirtd then takes fresh memory from the kernel for each of them, which takes it twice as long in all.
 */
const SEND_BYTES = 262_120;

/** What one message from libvirtd carries. */
const RECEIVE_BYTES = 256 * 1024;

/** Which bytes of a volume. */
export interface ByteRange {
  readonly offset: bigint;
  /** 0 means as many as come. */
  readonly length: bigint;
}

/**
 * Opens a volume for writing. The sink holds a lane of the connection until it is finished or aborted, which one of the
 * two must be.
 */
export async function openUpload(
  connection: Connection,
  pool: string,
  name: string,
  { offset, length }: ByteRange,
): Promise<ImageSink> {
  const what = `write to volume '${name}' in pool '${pool}'`;
  const lane = await connection.acquire();
  try {
    const stream = await openStream(lane, what, (opened) =>
      withVolume(lane, pool, name, (volume) =>
        lane.call(what, lane.native.storageVolUpload, volume, opened, offset, length, 0),
      ),
    );
    return new UploadSink({ lane, stream, what, length, release: () => connection.release(lane) });
  } catch (error) {
    connection.release(lane);
    throw error;
  }
}

/** Reads a volume. Each chunk is the caller's to keep; whoever stops early ends the transfer. */
export async function* downloadVolume(
  connection: Connection,
  pool: string,
  name: string,
  { offset = 0n, length = 0n }: Partial<ByteRange> = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const what = `read volume '${name}' in pool '${pool}'`;
  const lane = await connection.acquire();
  try {
    const stream = await openStream(lane, what, (opened) =>
      withVolume(lane, pool, name, (volume) =>
        lane.call(what, lane.native.storageVolDownload, volume, opened, offset, length, 0),
      ),
    );
    yield* receive(lane, stream, what);
  } finally {
    connection.release(lane);
  }
}

/** A stream keeps what it transfers alive, so the volume's handle is needed only for `start`. */
async function openStream(
  lane: Lane,
  what: string,
  start: (stream: StreamHandle) => Promise<unknown>,
): Promise<StreamHandle> {
  const { native } = lane;
  const stream = await lane.call(what, native.streamNew, lane.handle, 0);
  try {
    await start(stream);
    return stream;
  } catch (error) {
    native.streamFree(stream);
    throw error;
  }
}

async function* receive(lane: Lane, stream: StreamHandle, what: string): AsyncGenerator<Uint8Array, void, undefined> {
  const { native } = lane;
  let isFinished = false;
  try {
    for (;;) {
      const buffer = new Uint8Array(RECEIVE_BYTES);
      const received = await lane.call(what, native.streamRecv, stream, buffer, buffer.length);
      if (received === 0) break;
      yield buffer.subarray(0, received);
    }
    await lane.call(what, native.streamFinish, stream);
    isFinished = true;
  } finally {
    if (!isFinished) await abortQuietly(lane, stream, what);
    native.streamFree(stream);
  }
}

/** What failed before is the news; that the rest of the transfer cannot be called off either is not. */
async function abortQuietly(lane: Lane, stream: StreamHandle, what: string): Promise<void> {
  await lane.call(what, lane.native.streamAbort, stream).catch(() => undefined);
}

interface Upload {
  readonly lane: Lane;
  readonly stream: StreamHandle;
  readonly what: string;
  readonly length: bigint;
  readonly release: () => void;
}

/** The receiving end of one upload. `#isOver` is set before the stream is freed, and the stream is never used after. */
class UploadSink implements ImageSink {
  readonly #upload: Upload;
  #remaining: bigint;
  #isOver = false;

  constructor(upload: Upload) {
    this.#upload = upload;
    this.#remaining = upload.length;
  }

  async write(chunk: Uint8Array): Promise<void> {
    const { lane, stream, what } = this.#upload;
    this.#take(chunk.length);
    let sent = 0;
    while (sent < chunk.length) {
      this.#assertOpen();
      const piece = chunk.subarray(sent, sent + SEND_BYTES);
      sent += await lane.call(what, lane.native.streamSend, stream, piece, piece.length);
    }
  }

  async finish(): Promise<void> {
    this.#assertOpen();
    this.#isOver = true;
    const { lane, stream, what } = this.#upload;
    try {
      await lane.call(what, lane.native.streamFinish, stream);
    } catch (error) {
      await abortQuietly(lane, stream, what);
      throw error;
    } finally {
      this.#free();
    }
  }

  async abort(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const { lane, stream, what } = this.#upload;
    // Queues behind a send in flight, which then finds the sink over.
    await abortQuietly(lane, stream, what);
    this.#free();
  }

  #free(): void {
    const { lane, stream, release } = this.#upload;
    lane.native.streamFree(stream);
    release();
  }

  /** libvirt would answer that there is no space, which is another failure. */
  #take(bytes: number): void {
    const { what, length } = this.#upload;
    this.#assertOpen();
    this.#remaining -= BigInt(bytes);
    if (length > 0n && this.#remaining < 0n) throw new LibvirtError(`cannot ${what}: more than ${length} bytes came`);
  }

  #assertOpen(): void {
    if (this.#isOver) throw new LibvirtError(`cannot ${this.#upload.what}: the upload is over`);
  }
}
