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
  /** The checksum of what came, where the volume holds something else: what was unpacked or converted. */
  readonly deliveredDigest?: Digest | undefined;
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

/** An administrator's order to keep an image. */
export interface Pin {
  readonly reason: string | undefined;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** When it ends by itself; `undefined`: never. */
  readonly until: number | undefined;
}

/** Whether a pin holds now. One that was set in the future holds: the clock was set back. */
export function isPinned(record: Pick<ImageRecord, 'pin'> | undefined, now: number): boolean {
  const pin = record?.pin;
  return pin !== undefined && (pin.until === undefined || now < pin.until);
}

/** What an image is for, in OpenNebula's words. */
export const IMAGE_TYPES = ['os', 'cdrom', 'datablock'] as const;

export type ImageType = (typeof IMAGE_TYPES)[number];

/** What an administrator decided about an image. A record without traits is about an `os` image that is not persistent. */
export interface ImageTraits {
  readonly type: ImageType;
  /** Written by the one domain that uses it: no garbage ever, and nothing else may stand on it. */
  readonly isPersistent: boolean;
  /** What people call it; the name of its volume never changes. */
  readonly displayName?: string | undefined;
  /** The volume of the persistent image whose former content this one holds. */
  readonly snapshotOf?: string | undefined;
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
  readonly pin?: Pin | undefined;
  readonly traits?: ImageTraits | undefined;
  /** The run that took it out of use, as long as it waits for its deletion. */
  readonly retiredBy?: string | undefined;
  /** What the verdict on its content rests on, where one was made: another text is another content. */
  readonly judged?: string | undefined;
  /** A person named it to be deleted, which is no mistake of a source or of a policy. */
  readonly isNamed?: true | undefined;
}
