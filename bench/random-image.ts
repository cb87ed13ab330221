import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, stat, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createQcow2, qemuIo } from '../test/support/qemu.ts';

/** A file below a mirror, as the stream describes it. */
export interface GeneratedImage {
  /** Relative to the mirror. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const BLOCK_BYTES = 16 * 2 ** 20;

/**
 * Writes a qcow2 image that is full of incompressible bytes, the same ones every time: 16 MiB of key stream, again and
 * again, which no compressor with a window below that can make smaller.
 */
export async function writeRandomImage(path: string, contentBytes: number): Promise<void> {
  const block = `${path}.block`;
  const keyStream = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
  await writeFile(block, keyStream.update(Buffer.alloc(BLOCK_BYTES)));
  try {
    await createQcow2(path, { sizeBytes: contentBytes });
    const offsets = Array.from({ length: Math.ceil(contentBytes / BLOCK_BYTES) }, (_, index) => index * BLOCK_BYTES);
    await qemuIo(
      path,
      ...offsets.map((offset) => `write -q -s ${block} ${offset} ${Math.min(BLOCK_BYTES, contentBytes - offset)}`),
    );
  } finally {
    await rm(block);
  }
}

/** What a stream says about an image that lies at `path` below `mirror`. */
export async function describeImage(mirror: string, path: string): Promise<GeneratedImage> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(`${mirror}/${path}`, { highWaterMark: 2 ** 20 }), hash);
  return { path, sizeBytes: (await stat(`${mirror}/${path}`)).size, sha256: hash.digest('hex') };
}
