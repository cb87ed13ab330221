import type { FlatItem } from './filter.ts';
import type { Identity } from './identity.ts';
import type { ImageStatus } from './lifecycle.ts';

export type DigestAlgorithm = 'sha512' | 'sha256' | 'md5';

/** A checksum, in lower-case hex. */
export interface Digest {
  readonly algorithm: DigestAlgorithm;
  readonly hex: string;
}

/** Where an image came from and what its bytes must be. */
export interface Provenance {
  /** Base address of the simplestreams source, without credentials. `undefined`: found in the pool, made by uvtool. */
  readonly source: string | undefined;
  readonly itemPath: string | undefined;
  readonly sizeBytes: bigint | undefined;
  readonly digest: Digest | undefined;
  /** Fingerprint of the key that signed the product data. `undefined`: not authenticated. */
  readonly signer: string | undefined;
  /** Which program brought the image. */
  readonly broughtBy: string;
}

/** Moments in a record's life, in milliseconds since the epoch. */
export interface RecordTimes {
  readonly createdAt: number;
  readonly statusSince: number;
  /** When a run last saw something that needed the volume, or saw it offered. */
  readonly lastNeededAt: number;
}

/** poolkeeper's own state about one managed volume. */
export interface ImageRecord {
  readonly volumeName: string;
  readonly identity: Identity;
  readonly status: ImageStatus;
  /** Why, where the status needs a reason: `killed`. */
  readonly reason: string | undefined;
  readonly provenance: Provenance;
  /** The flattened item, as it stands or would stand in the metadata file. */
  readonly tags: FlatItem;
  readonly times: RecordTimes;
}
