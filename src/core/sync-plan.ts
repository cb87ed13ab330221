import type { FlatItem } from './filter.ts';
import { type Identity, identityText } from './identity.ts';
import type { ImageStatus } from './lifecycle.ts';
import { isLocalImage } from './local-image.ts';
import { isSameDigest, type PartialImage } from './partial-image.ts';
import type { ImageRecord } from './record.ts';
import type { WantedImage } from './selection.ts';
import { compareVersions } from './version.ts';

/** What a sync knows before it decides. */
export interface SyncFacts {
  readonly wanted: readonly WantedImage[];
  /** The name that each identity has, or would have, as a volume of this pool. */
  readonly volumeName: (identity: Identity) => string;
  /** Managed volumes of the pool by name, with their identities. */
  readonly volumes: ReadonlyMap<string, Identity>;
  /** What is offered to new domains, by identity text. */
  readonly metadata: ReadonlyMap<string, OfferedMetadata>;
  /** Records by volume name. */
  readonly records: ReadonlyMap<string, ImageRecord>;
  /** What interrupted transfers left, by volume name. */
  readonly partials: ReadonlyMap<string, PartialImage>;
  /** Volumes whose content changed since it was found wrong, by name. */
  readonly rewritten: ReadonlySet<string>;
  /** Images of which something cannot be read, with the reason, by identity text. They are left as they are. */
  readonly unknown: ReadonlyMap<string, string>;
  /** How many versions of each product to hold on to; only the newest is offered. At least 1. */
  readonly keepVersions: number;
}

export interface OfferedMetadata {
  readonly identity: Identity;
  readonly item: FlatItem;
}

/** One action of a sync. Steps are carried out in the order of the plan. */
export type SyncStep =
  /** Download an image into a new volume, or into the one that an interrupted transfer left; then offer it. */
  | {
      readonly action: 'fetch';
      readonly image: WantedImage;
      readonly volumeName: string;
      readonly partial: PartialImage | undefined;
    }
  /** Offer a complete image whose metadata file is missing or says something else than the source. */
  | { readonly action: 'offer'; readonly image: WantedImage; readonly volumeName: string }
  /** A volume of unknown content has the right name: offer it if its digest is right, else keep it untouched. */
  | { readonly action: 'adopt'; readonly image: WantedImage; readonly volumeName: string }
  /** Write a record for an image that uvtool brought, or that a person made. */
  | { readonly action: 'enlist'; readonly identity: Identity; readonly item: FlatItem; readonly volumeName: string }
  /** Take a version out of the offer, once the volume that replaces it is offered. */
  | {
      readonly action: 'retire';
      readonly identity: Identity;
      readonly volumeName: string;
      readonly replacedBy: string;
      readonly retained: boolean;
      readonly item: FlatItem;
    }
  /** Give up an image that never arrived wholly and that a newer version replaces; its volume, if any, is garbage. */
  | {
      readonly action: 'discard';
      readonly identity: Identity;
      readonly volumeName: string;
      readonly hasVolume: boolean;
    }
  /** Remove metadata whose volume does not exist. */
  | { readonly action: 'forget'; readonly identity: Identity; readonly volumeName: string }
  /** Leave an image alone that is there but not to be offered, or for which there is no room, and say why. */
  | {
      readonly action: 'skip';
      readonly image: WantedImage;
      readonly volumeName: string;
      readonly reason: string;
      readonly lacksRoom?: true;
      /** The administrator decided so: it is no failure. */
      readonly isIntended?: true;
    };

interface FoundImage {
  readonly image: WantedImage;
  readonly volumeName: string;
  readonly record: ImageRecord;
  readonly offered: OfferedMetadata | undefined;
}

/** Statuses of an image that has no volume yet, or none any more. */
const ABSENT: ReadonlySet<ImageStatus> = new Set<ImageStatus>(['queued', 'saving', 'importing', 'deleted']);

/**
 * Decides what a sync does, and in which order: metadata without a volume is forgotten first, so that nobody sees an image
 * that is still arriving; what is complete is enlisted and offered, what is missing is fetched; only then are the versions
 * retired that the new ones replace. Products that the source does not name, or that the filters exclude, are not touched.
 */
export function planSync(facts: SyncFacts): readonly SyncStep[] {
  const held = groupHeldVersions(facts);
  return [
    ...planForgets(facts),
    ...planEnlistments(facts),
    ...facts.wanted.flatMap((image) => planWanted(image, facts) ?? []),
    ...facts.wanted.flatMap((image) => planRetirements(image, held.get(image.identity.product) ?? [], facts)),
    ...planDiscards(facts),
  ];
}

function planWanted(image: WantedImage, facts: SyncFacts): SyncStep | undefined {
  const volumeName = facts.volumeName(image.identity);
  const unknown = facts.unknown.get(identityText(image.identity));
  if (unknown !== undefined) return { action: 'skip', image, volumeName, reason: unknown };
  if (!facts.volumes.has(volumeName)) return { action: 'fetch', image, volumeName, partial: undefined };
  const partial = facts.partials.get(volumeName);
  if (partial?.sizeBytes === image.sizeBytes) return planContinuation(image, volumeName, partial);
  const record = facts.records.get(volumeName);
  const offered = facts.metadata.get(identityText(image.identity));
  if (record === undefined || saysNoVolume(record))
    return offered === undefined ? { action: 'adopt', image, volumeName } : planRefresh(image, offered, volumeName);
  if (facts.rewritten.has(volumeName)) return { action: 'adopt', image, volumeName };
  return planRecorded({ image, volumeName, record, offered });
}

/** Whether a record says that there is no volume of this image: one that is there all the same is somebody else's. */
export function saysNoVolume(record: ImageRecord | undefined): boolean {
  return record === undefined || ABSENT.has(record.status);
}

/** What was to become another image is of no use for this one, except for its volume. */
function planContinuation(image: WantedImage, volumeName: string, partial: PartialImage): SyncStep {
  const heldBytes = isSameDigest(partial.digest, image.digest) ? partial.heldBytes : 0n;
  return { action: 'fetch', image, volumeName, partial: { ...partial, heldBytes } };
}

function planRecorded(found: FoundImage): SyncStep | undefined {
  const { image, volumeName, record, offered } = found;
  const intention = intentionToSkip(record);
  if (intention !== undefined) return { action: 'skip', image, volumeName, reason: intention, isIntended: true };
  const reason = reasonToSkip(record);
  if (reason !== undefined) return { action: 'skip', image, volumeName, reason };
  const isOffered = offered !== undefined && record.status === 'active';
  if (isOtherContent(record, image))
    return isOffered
      ? undefined
      : { action: 'skip', image, volumeName, reason: 'another item of this version is held' };
  if (!isOffered && isOfUnknownOrigin(record)) return { action: 'adopt', image, volumeName };
  return isOffered ? planRefresh(image, offered, volumeName) : { action: 'offer', image, volumeName };
}

/** What the administrator took out of circulation stays out. */
function intentionToSkip({ status, traits }: ImageRecord): string | undefined {
  if (status === 'deactivated') return 'it is disabled';
  if (traits?.snapshotOf !== undefined) return 'it is a snapshot';
  return traits?.isPersistent === true ? 'it is persistent' : undefined;
}

function reasonToSkip(record: ImageRecord): string | undefined {
  const { status, reason } = record;
  if (status === 'killed') return reason ?? 'an earlier check failed';
  return status === 'pending_delete' && isOfUnknownOrigin(record) ? reason : undefined;
}

/** A volume holds one item of a version; what describes another one does not describe it. */
function isOtherContent({ provenance: { digest } }: ImageRecord, image: WantedImage): boolean {
  return digest !== undefined && digest.algorithm === image.digest.algorithm && !isSameDigest(digest, image.digest);
}

/** Nobody ever vouched for its content: the record only says that the volume was found. */
function isOfUnknownOrigin({ provenance }: ImageRecord): boolean {
  return provenance.digest === undefined && provenance.broughtBy !== 'uvtool';
}

/**
 * The source may change its tags (say, `supported`); the file follows. The date of the document is no tag of the image:
 * it changes with every export, and nothing else with it.
 */
function planRefresh(image: WantedImage, offered: OfferedMetadata, volumeName: string): SyncStep | undefined {
  const isSame = Object.entries(image.tags).every(([key, value]) => key === 'updated' || offered.item[key] === value);
  return isSame ? undefined : { action: 'offer', image, volumeName };
}

function planEnlistments(facts: SyncFacts): readonly SyncStep[] {
  return [...facts.metadata.values()].flatMap(({ identity, item }): readonly SyncStep[] => {
    const volumeName = facts.volumeName(identity);
    const isForeign =
      facts.volumes.has(volumeName) && !facts.partials.has(volumeName) && saysNoVolume(facts.records.get(volumeName));
    return isForeign ? [{ action: 'enlist', identity, item, volumeName }] : [];
  });
}

/**
 * The versions of one product that are offered beside its newest. A version newer than the newest was withdrawn by the
 * source and is not retained. What is held without an offer is for retention to judge.
 */
function planRetirements(image: WantedImage, heldVersions: readonly string[], facts: SyncFacts): readonly SyncStep[] {
  const { product, version } = image.identity;
  const held = heldVersions.filter((other) => other !== version);
  const older = held.filter((other) => compareVersions(other, version) < 0).sort(compareVersions);
  const retained = new Set(facts.keepVersions > 1 ? older.slice(-(facts.keepVersions - 1)) : []);
  return held.flatMap((other): readonly SyncStep[] => {
    const identity = { product, version: other };
    const isRetained = retained.has(other);
    const offered = facts.metadata.get(identityText(identity));
    if (offered === undefined) return [];
    const [volumeName, replacedBy] = [facts.volumeName(identity), facts.volumeName(image.identity)];
    return [{ action: 'retire', identity, volumeName, replacedBy, retained: isRetained, item: offered.item }];
  });
}

/** The versions of wanted products that were to come, or began to, and that the source has replaced since. */
function planDiscards(facts: SyncFacts): readonly SyncStep[] {
  const wanted = new Map(facts.wanted.map(({ identity }) => [identity.product, identity.version]));
  return [...facts.records.values()].flatMap(({ identity, volumeName, status }): readonly SyncStep[] => {
    if (isLocalImage(identity)) return [];
    const newest = wanted.get(identity.product);
    const hasVolume = facts.volumes.has(volumeName);
    const isLeftOver = hasVolume ? status === 'saving' : status === 'saving' || status === 'queued';
    const isWanted = newest === undefined || newest === identity.version;
    return isWanted || !isLeftOver ? [] : [{ action: 'discard', identity, volumeName, hasVolume }];
  });
}

/** Whether no source has a say in an image: a person brought it in, or a domain writes to it, or it is what one wrote. */
function isOutOfReach(identity: Identity, record: ImageRecord | undefined): boolean {
  const { isPersistent = false, snapshotOf } = record?.traits ?? {};
  return isLocalImage(identity) || isPersistent || snapshotOf !== undefined;
}

/** Per product, the versions that have a volume and are offered, or were retained, and on which sources have a say. */
function groupHeldVersions(facts: SyncFacts): ReadonlyMap<string, string[]> {
  const held = new Map<string, string[]>();
  for (const [volumeName, identity] of facts.volumes) {
    if (facts.unknown.has(identityText(identity)) || isOutOfReach(identity, facts.records.get(volumeName))) continue;
    const isOffered = facts.metadata.has(identityText(identity));
    if (!isOffered && facts.records.get(volumeName)?.status !== 'active') continue;
    const versions = held.get(identity.product);
    if (versions === undefined) held.set(identity.product, [identity.version]);
    else versions.push(identity.version);
  }
  return held;
}

/** Metadata without a volume. The executor asks libvirt again before it removes any. */
function planForgets(facts: SyncFacts): readonly SyncStep[] {
  return [...facts.metadata.values()].flatMap(({ identity }): readonly SyncStep[] => {
    const volumeName = facts.volumeName(identity);
    return facts.volumes.has(volumeName) ? [] : [{ action: 'forget', identity, volumeName }];
  });
}
