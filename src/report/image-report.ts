import { formatBytes } from '../core/byte-size.ts';
import { formatDuration } from '../core/duration.ts';
import { displayNameOf, type ImageSummary, originOf, traitsOf, usageOf } from '../core/image-summary.ts';
import { isoTime } from './iso-time.ts';
import type { Fields, Reporter } from './reporter.ts';
import type { Style } from './surface.ts';
import { type Column, showTable } from './table.ts';

/** Whose words the states of images are told in. */
export const VOCABULARIES = ['glance', 'opennebula'] as const;

export type Vocabulary = (typeof VOCABULARIES)[number];

export interface ListView {
  readonly vocabulary: Vocabulary;
  readonly now: number;
}

/** Shows images, one in a row. */
export function showImages(rows: readonly ImageSummary[], view: ListView, reporter: Reporter): void {
  showTable({ messageType: 'image', columns: columnsFor(view), rows, fields: imageFields }, reporter);
}

function columnsFor({ vocabulary, now }: ListView): readonly Column<ImageSummary>[] {
  return [
    { title: 'IMAGE', text: displayNameOf, shrinksTo: 24, keepsEnd: true },
    { title: 'VERSION', text: ({ identity }) => identity.version },
    { title: 'STATUS', text: (image) => statusText(image, vocabulary), style: statusStyle },
    { title: 'USAGE', text: usageText },
    { title: 'TYPE', text: typeText, isOptional: true },
    {
      title: 'SIZE',
      text: ({ sizeBytes }) => (sizeBytes === undefined ? '-' : formatBytes(sizeBytes)),
      isRightAligned: true,
    },
    { title: 'AGE', text: ({ createdAt }) => ageText(createdAt, now), isRightAligned: true },
    { title: 'SOURCE', text: originOf, shrinksTo: 12, isOptional: true },
  ];
}

/** The state of an image, in the words asked for. */
export function statusText({ status, openNebula }: ImageSummary, vocabulary: Vocabulary): string {
  return vocabulary === 'glance' ? status : (openNebula ?? '-');
}

function statusStyle({ status }: ImageSummary): Style | undefined {
  if (status === 'killed') return 'red';
  if (status === 'active') return undefined;
  return status === 'deleted' || status === 'pending_delete' ? 'dim' : 'yellow';
}

/** For example `unused` or `used 3`. */
export function usageText(image: ImageSummary): string {
  const usage = usageOf(image);
  return usage === 'used' ? `used ${image.users.length}` : usage;
}

/** What an image is for, and whether only one domain may have it. */
export function typeText({ record }: ImageSummary): string {
  const { type, isPersistent, snapshotOf } = traitsOf(record);
  if (snapshotOf !== undefined) return 'snapshot';
  return isPersistent ? `${type}, persistent` : type;
}

function ageText(createdAt: number | undefined, now: number): string {
  return createdAt === undefined ? '-' : (formatDuration(Math.max(0, now - createdAt)).split(' ')[0] ?? '-');
}

/** The facts about an image, for JSON: `schemas/messages.schema.json` describes them. */
export function imageFields(image: ImageSummary): Fields {
  const { volumeName, identity, record, status, openNebula, users } = image;
  const { type, isPersistent, snapshotOf } = traitsOf(record);
  return {
    ...identity,
    volume: volumeName,
    name: displayNameOf(image),
    status,
    status_since: isoTime(record?.times.statusSince),
    reason: record?.reason,
    opennebula_state: openNebula,
    usage: usageOf(image),
    users: users.length,
    is_offered: image.isOffered,
    is_locked: image.isLocked,
    type,
    is_persistent: isPersistent,
    snapshot_of: snapshotOf,
    size_bytes: image.sizeBytes,
    capacity_bytes: image.capacityBytes,
    created_at: isoTime(image.createdAt),
    source: originOf(image),
  };
}
