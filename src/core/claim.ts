import type { BlindSpot, Reference } from './reference.ts';

/** Something that keeps a volume and that libvirt knows nothing of: a lease, a pin. */
export interface Claim {
  readonly kind: 'lease' | 'pin';
  readonly poolUuid: string;
  readonly volumeName: string;
  /** What the user would call it. */
  readonly label: string;
  /** The file that it is written down in, and the field. */
  readonly document: string;
  readonly evidence: string;
}

/** Every claim that could be read, and what could not. */
export interface Claims {
  readonly claims: readonly Claim[];
  readonly blindSpots: readonly BlindSpot[];
  /** The names of which an administrator said that what they led to is gone for good, as `absenceKey` gives them, by URI. */
  readonly forgotten?: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Claims of several kinds as one list. */
export function joinClaims(...parts: readonly Claims[]): Claims {
  return {
    claims: parts.flatMap(({ claims }) => claims),
    blindSpots: parts.flatMap(({ blindSpots }) => blindSpots),
  };
}

/** What a claim refers to, in the pool that has the claim's UUID. */
export function claimReference({ volumeName, evidence }: Claim, pool: string): Reference {
  return { kind: 'volume', pool, value: volumeName, evidence };
}
