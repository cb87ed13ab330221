/** How a file is packed. */
export type Compression = 'gzip' | 'xz' | 'zstd';

const MAGIC: readonly (readonly [Compression, string])[] = [
  ['gzip', '\x1f\x8b'],
  ['xz', '\xfd7zXZ\0'],
  ['zstd', '\x28\xb5\x2f\xfd'],
];

/** How many of the first bytes of a file tell how it is packed. */
export const COMPRESSION_HEAD_BYTES = 6;

/** How a file with these first bytes is packed; `undefined` when it is not. */
export function detectCompression(head: Uint8Array): Compression | undefined {
  const text = Buffer.from(head.subarray(0, COMPRESSION_HEAD_BYTES)).toString('latin1');
  return MAGIC.find(([, magic]) => text.startsWith(magic))?.[0];
}
