import { createHash } from 'node:crypto';
import type { Digest } from '../core/record.ts';
import { DOWNLOAD_HEAD_BYTES } from '../image-format/download-check.ts';
import type { Connection } from '../libvirt/connection.ts';
import { downloadVolume } from '../libvirt/stream.ts';

/** What lies in a volume. */
export interface Content {
  readonly sizeBytes: bigint;
  readonly digest: Digest;
}

/** What was found by reading it. */
export interface ContentRead extends Content {
  /** As many of the first bytes as a look at the header takes, and at times more. */
  readonly head: Uint8Array;
}

/** How a volume is read. */
export interface Reading {
  readonly connection: Connection;
  readonly signal: AbortSignal;
  readonly algorithm: Digest['algorithm'];
  /** Stop as soon as there is more. */
  readonly mostBytes?: bigint;
  /** Called with the bytes read so far. */
  onBytes?(this: void, bytes: bigint): void;
}

/**
 * Reads a volume through libvirt from its first byte to its last, and hashes it.
 *
 * @throws LibvirtError; the reason of the signal.
 */
export async function readContent(
  pool: string,
  name: string,
  { connection, signal, algorithm, mostBytes, onBytes }: Reading,
): Promise<ContentRead> {
  const hash = createHash(algorithm);
  let [sizeBytes, head] = [0n, Buffer.alloc(0)];
  for await (const chunk of downloadVolume(connection, pool, name)) {
    signal.throwIfAborted();
    sizeBytes += BigInt(chunk.length);
    onBytes?.(sizeBytes);
    if (mostBytes !== undefined && sizeBytes > mostBytes) break;
    if (head.length < DOWNLOAD_HEAD_BYTES) head = Buffer.concat([head, chunk]);
    hash.update(chunk);
  }
  return { sizeBytes, digest: { algorithm, hex: hash.digest('hex') }, head };
}
