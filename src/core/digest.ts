import { UsageError } from '../errors.ts';
import type { Digest } from './record.ts';

/** How many hexadecimal digits the checksums have that can be given. */
const HEX_DIGITS = { sha256: 64, sha512: 128 } as const;

/**
 * Reads a checksum such as `sha256:9f86d0…`.
 *
 * @throws UsageError for another algorithm, and for what is no checksum of it.
 */
export function parseDigest(text: string): Digest {
  const [, algorithm, hex = ''] = /^(sha256|sha512):([0-9a-f]+)$/i.exec(text) ?? [];
  const name = algorithm?.toLowerCase();
  if ((name === 'sha256' || name === 'sha512') && hex.length === HEX_DIGITS[name]) {
    return { algorithm: name, hex: hex.toLowerCase() };
  }
  throw new UsageError(`'${text}' is no checksum`, {
    hint: 'write sha256: or sha512:, and all of its hexadecimal digits',
  });
}
