import type { Identity } from './identity.ts';
import type { ImageStatus } from './lifecycle.ts';
import { type SweepPolicy, waitsOf } from './sweep-plan.ts';
import { compareVersions } from './version.ts';

/** How much to hold on to. It only selects what may go; whether it does is for the use graph to say. */
export interface RetentionPolicy {
  /** How many of the newest versions of each product stay. At least 1. */
  readonly keepVersions: number;
  /** What nothing needed for so long may go; `undefined`: time alone is no reason. */
  readonly unusedForMs: number | undefined;
  /** Above it, what was used longest ago may go, down to 80 % of it; `undefined`: no limit. */
  readonly maxSizeBytes: bigint | undefined;
  /** What becomes of products that left their source or the filters. */
  readonly gone: 'keep' | 'drop-when-unused';
}

/** The policy of a pool, and what differs for single sources, by address without credentials. */
export interface RetentionSettings {
  readonly policy: RetentionPolicy;
  readonly sources: ReadonlyMap<string, Partial<RetentionPolicy>>;
}

/** When a judgement is made, and the periods that have to pass before anything goes. */
export type RetentionMoment = SweepPolicy;

/** What may go, and when. */
export interface CollectionPolicy {
  readonly graceMs: number;
  readonly minAgeMs: number;
  readonly retention: RetentionSettings;
}

/** A managed volume, as far as retention is concerned. */
export interface StockedImage {
  readonly volumeName: string;
  readonly identity: Identity;
  /** `undefined`: not known. */
  readonly source: string | undefined;
  /** `undefined`: there is no record. */
  readonly status: ImageStatus | undefined;
  readonly sizeBytes: bigint;
  readonly isOffered: boolean;
  /** Something outside the pool's images needs it now. */
  readonly isInUse: boolean;
  /** What that is, for people. */
  readonly neededBy?: string | undefined;
  readonly isLocked: boolean;
  /** A person brought it in or made it: no policy applies to it. */
  readonly isOwn: boolean;
  /** Nobody knows whose it is: it stays until a person names it. */
  readonly isUnclaimed: boolean;
  /** Written by a domain, or the snapshot of such an image: no policy applies to it. */
  readonly keptAs: 'persistent' | 'snapshot' | undefined;
  /** Its product left the source or the filters. */
  readonly isGone: boolean;
  /** When something needed it last, or it was offered. */
  readonly lastNeededAt: number;
  /** Since when it has had its status. */
  readonly statusSince: number;
  readonly modifiedAtMs: number | undefined;
}

/** Why an image is held on to, whoever needs it. */
export type RetainReason =
  | 'offered'
  | 'newest'
  | 'locked'
  | 'in use'
  | 'disabled'
  | 'on its way'
  | 'gone'
  | 'persistent'
  | 'snapshot'
  | 'own'
  | 'unclaimed';

/** Why an image may go. */
export type CandidateReason = 'withdrawn' | 'failed' | 'unknown' | 'replaced' | 'recalled' | 'gone' | 'unused' | 'size';

/** What retention says of one image. `eligibleAt` is there only where time decides. */
export type RetentionVerdict = { readonly image: StockedImage; readonly eligibleAt: number | undefined } & (
  | { readonly action: 'retain'; readonly reason: RetainReason }
  | { readonly action: 'candidate'; readonly reason: CandidateReason }
);

type Ruling =
  | { readonly action: 'retain'; readonly reason: RetainReason; readonly eligibleAt?: number }
  | { readonly action: 'candidate'; readonly reason: CandidateReason };

/** Statuses that decide by themselves. What is `active` is for the policy to judge. */
const RULED: Readonly<Record<Exclude<ImageStatus, 'active'>, Ruling>> = {
  queued: { action: 'retain', reason: 'on its way' },
  saving: { action: 'retain', reason: 'on its way' },
  importing: { action: 'retain', reason: 'on its way' },
  deactivated: { action: 'retain', reason: 'disabled' },
  pending_delete: { action: 'candidate', reason: 'withdrawn' },
  killed: { action: 'candidate', reason: 'failed' },
  deleted: { action: 'candidate', reason: 'unknown' },
};

/**
 * Selects what may go. Every image gets a verdict with its reason, in the order of the images. What is offered is never
 * selected, unless its product is gone and is to be dropped; nor is what is locked, nor what is in use. A clock that was set back makes periods
 * longer, never shorter.
 */
export function selectCandidates(
  images: readonly StockedImage[],
  settings: RetentionSettings,
  moment: RetentionMoment,
): readonly RetentionVerdict[] {
  const ranks = rankVersions(images);
  const rulings = new Map(
    images.map((image) => [
      image.volumeName,
      rule(image, { policy: policyFor(image, settings), moment, rank: ranks.get(image.volumeName) ?? 0 }),
    ]),
  );
  const scopes = [
    { limit: settings.policy.maxSizeBytes, members: images },
    ...[...settings.sources].map(([source, { maxSizeBytes }]) => ({
      limit: maxSizeBytes,
      members: images.filter((image) => image.source === source),
    })),
  ];
  for (const { limit, members } of scopes) if (limit !== undefined) evict(members, limit, rulings);
  return images.flatMap((image): readonly RetentionVerdict[] => {
    const ruling = rulings.get(image.volumeName);
    return ruling === undefined ? [] : [toVerdict(image, ruling, moment)];
  });
}

/** Of what its source withdrew: it is newer than what is offered. */
const RECALLED = Number.POSITIVE_INFINITY;

/** The newest version of each product is 1. Only complete images count, and what its source withdrew has no place. */
function rankVersions(images: readonly StockedImage[]): ReadonlyMap<string, number> {
  const complete = images
    .filter(({ isOffered, status }) => isOffered || status === 'active')
    .toSorted((a, b) => compareVersions(b.identity.version, a.identity.version));
  const offered = new Set(complete.flatMap(({ isOffered, identity }) => (isOffered ? [identity.product] : [])));
  const counts = new Map<string, number>();
  return new Map(
    complete.map(({ volumeName, identity: { product }, isOffered }) => {
      const newer = counts.get(product) ?? 0;
      if (newer === 0 && !isOffered && offered.has(product)) return [volumeName, RECALLED];
      counts.set(product, newer + 1);
      return [volumeName, newer + 1];
    }),
  );
}

function policyFor({ source }: StockedImage, { policy, sources }: RetentionSettings): RetentionPolicy {
  return { ...policy, ...(source === undefined ? {} : sources.get(source)) };
}

function rule(
  image: StockedImage,
  {
    policy,
    moment,
    rank,
  }: { readonly policy: RetentionPolicy; readonly moment: RetentionMoment; readonly rank: number },
): Ruling {
  const { isOffered, isGone } = image;
  const ruling = ruleByItself(image);
  if (ruling !== undefined) return ruling;
  if (isGone && !image.isOwn) return ruleGone(image, policy);
  if (isOffered) return { action: 'retain', reason: 'offered' };
  if (image.isOwn) return { action: 'retain', reason: 'own' };
  if (rank > policy.keepVersions && !image.isInUse)
    return { action: 'candidate', reason: rank === RECALLED ? 'recalled' : 'replaced' };
  return ruleUnused(image, policy.unusedForMs, moment);
}

/** What is decided whatever the policy says. */
function ruleByItself({ status, isOffered, isLocked, isUnclaimed, keptAs }: StockedImage): Ruling | undefined {
  if (isUnclaimed) return { action: 'retain', reason: 'unclaimed' };
  if (!isOffered && status !== 'active')
    return status === undefined ? { action: 'candidate', reason: 'unknown' } : RULED[status];
  if (isLocked) return { action: 'retain', reason: 'locked' };
  return keptAs === undefined ? undefined : { action: 'retain', reason: keptAs };
}

/** Why an image is held on to by every policy, as long as its product is not gone; `undefined` when there is one that lets it go. */
export function reasonToHold(image: StockedImage): RetainReason | undefined {
  const ruling = ruleByItself(image);
  if (ruling !== undefined) return ruling.action === 'retain' ? ruling.reason : undefined;
  if (image.isOffered) return 'offered';
  return image.isOwn ? 'own' : undefined;
}

function ruleGone({ isInUse }: StockedImage, { gone }: RetentionPolicy): Ruling {
  if (gone === 'keep') return { action: 'retain', reason: 'gone' };
  return isInUse ? { action: 'retain', reason: 'in use' } : { action: 'candidate', reason: 'gone' };
}

function ruleUnused(
  { isInUse, lastNeededAt }: StockedImage,
  unusedForMs: number | undefined,
  { now, livedSince = (time) => now - time }: RetentionMoment,
): Ruling {
  if (isInUse) return { action: 'retain', reason: 'in use' };
  if (unusedForMs === undefined) return { action: 'retain', reason: 'newest' };
  const leftMs = unusedForMs - livedSince(lastNeededAt);
  return leftMs > 0
    ? { action: 'retain', reason: 'newest', eligibleAt: now + leftMs }
    : { action: 'candidate', reason: 'unused' };
}

/** What goes anyway is counted as gone, unless it is in use. What was used at the same time goes by name. */
function evict(members: readonly StockedImage[], limit: bigint, rulings: Map<string, Ruling>): void {
  const isStaying = ({ volumeName, isInUse }: StockedImage): boolean =>
    isInUse || rulings.get(volumeName)?.action === 'retain';
  if (sizeOf(members) <= limit) return;
  let held = sizeOf(members.filter(isStaying));
  const evictable = members
    .filter(({ volumeName }) => rulings.get(volumeName)?.reason === 'newest')
    .toSorted((a, b) => a.lastNeededAt - b.lastNeededAt || (a.volumeName < b.volumeName ? -1 : 1));
  for (const { volumeName, sizeBytes } of evictable) {
    if (held * 100n <= limit * 80n) return;
    rulings.set(volumeName, { action: 'candidate', reason: 'size' });
    held -= sizeBytes;
  }
}

function sizeOf(images: readonly StockedImage[]): bigint {
  let sum = 0n;
  for (const { sizeBytes } of images) sum += sizeBytes;
  return sum;
}

function toVerdict(image: StockedImage, ruling: Ruling, moment: RetentionMoment): RetentionVerdict {
  if (ruling.action === 'retain') return { image, ...ruling, eligibleAt: ruling.eligibleAt };
  const { now } = moment;
  // Grace is the time that a candidate waits; what becomes one only now, begins to.
  const isWaiting = ruling.reason === 'withdrawn' || ruling.reason === 'failed';
  const waits = waitsOf(image, isWaiting ? Math.max(image.lastNeededAt, image.statusSince) : now, moment);
  const eligibleAt = waits.length === 0 ? undefined : Math.max(...waits.map((wait) => wait.eligibleAt));
  return { image, ...ruling, eligibleAt };
}
