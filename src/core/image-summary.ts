import type { Identity } from './identity.ts';
import type { ImageStatus } from './lifecycle.ts';
import { isLocalImage, localName } from './local-image.ts';
import type { OpenNebulaState } from './opennebula-state.ts';
import type { ImageRecord, ImageTraits } from './record.ts';
import type { ImageUser } from './usage.ts';

/** An image as `list` shows it. */
export interface ImageSummary {
  readonly volumeName: string;
  readonly identity: Identity;
  readonly record: ImageRecord | undefined;
  readonly status: ImageStatus;
  readonly openNebula: OpenNebulaState | undefined;
  readonly isOffered: boolean;
  readonly isLocked: boolean;
  readonly users: readonly ImageUser[];
  /** Whether everything was seen that could use it. */
  readonly isUseKnown: boolean;
  /** What it takes up; `undefined`: it has no volume. */
  readonly sizeBytes: bigint | undefined;
  readonly capacityBytes: bigint | undefined;
  /** When it came, in milliseconds since the epoch. */
  readonly createdAt: number | undefined;
}

/** What people call an image: the name that the administrator gave, or its product. */
export function displayNameOf({ identity, record }: Pick<ImageSummary, 'identity' | 'record'>): string {
  return record?.traits?.displayName ?? localName(identity) ?? identity.product;
}

/** Where an image came from: the address of its source, or who brought it. */
export function originOf({ identity, record }: Pick<ImageSummary, 'identity' | 'record'>): string {
  if (isLocalImage(identity)) return 'local';
  const { source, broughtBy } = record?.provenance ?? { source: undefined, broughtBy: 'uvtool' };
  return source ?? broughtBy;
}

/** What was decided about an image, with what holds for those about which nothing was. */
export function traitsOf(record: Pick<ImageRecord, 'traits'> | undefined): ImageTraits {
  return record?.traits ?? { type: 'os', isPersistent: false };
}

/** How an image is used: by how many, by nobody, or by nobody that could be seen. */
export function usageOf({
  users,
  isUseKnown,
}: Pick<ImageSummary, 'users' | 'isUseKnown'>): 'used' | 'unused' | 'unknown' {
  if (users.length > 0) return 'used';
  return isUseKnown ? 'unused' : 'unknown';
}
