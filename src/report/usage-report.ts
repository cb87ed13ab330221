import { formatBytes } from '../core/byte-size.ts';
import { identityText } from '../core/identity.ts';
import {
  bytesOf,
  type HeldReason,
  type ImageUsage,
  type MeasuredImage,
  type UseKind,
  type UserUsage,
} from '../core/space-usage.ts';
import type { Fields, Reporter } from './reporter.ts';
import { RETAINED } from './retention-report.ts';
import { type Column, showTable } from './table.ts';

const IMAGE_COLUMNS: readonly Column<ImageUsage>[] = [
  { title: 'IMAGE', text: ({ image }) => identityText(image.identity), shrinksTo: 28, keepsEnd: true },
  bytesColumn('EXCLUSIVE', 'exclusive'),
  bytesColumn('SHARED', 'shared'),
  bytesColumn('RECLAIMABLE', 'reclaimable'),
  bytesColumn('UNUSED', 'held', 'unseen'),
  { title: 'NOTE', text: noteOf, shrinksTo: 12, isOptional: true },
];

const USER_COLUMNS: readonly Column<UserUsage>[] = [
  { title: 'USER', text: ({ user }) => user, shrinksTo: 16 },
  { title: 'NEEDS', text: ({ images }) => formatBytes(bytesOf(images)), isRightAligned: true },
  { title: 'ALONE', text: ({ exclusive }) => formatBytes(bytesOf(exclusive)), isRightAligned: true },
  { title: 'FREES', text: ({ freed }) => formatBytes(bytesOf(freed)), isRightAligned: true },
  {
    title: 'IMAGES',
    text: ({ freed }) => freed.map(({ identity }) => identityText(identity)).join(', '),
    shrinksTo: 12,
    isOptional: true,
  },
];

/** Shows for each image for whom its bytes are there. */
export function showImageUsage(images: readonly ImageUsage[], reporter: Reporter): void {
  showTable({ messageType: 'image_usage', columns: IMAGE_COLUMNS, rows: images, fields: imageFields }, reporter);
}

/** Shows for each user what would be gained without it, the largest gain first. */
export function showUserUsage(users: readonly UserUsage[], reporter: Reporter): void {
  const rows = users.toSorted((a, b) => Number(bytesOf(b.freed) - bytesOf(a.freed)) || (a.user < b.user ? -1 : 1));
  showTable({ messageType: 'user_usage', columns: USER_COLUMNS, rows, fields: userFields }, reporter);
}

/** Shows what all images of the pool take up, each counted once. */
export function showUsageTotals(images: readonly ImageUsage[], reporter: Reporter): void {
  const sums = new Map(KINDS.map((kind) => [kind, bytesOf(ofKind(images, kind))]));
  const parts = KINDS.flatMap((kind) => {
    const bytes = sums.get(kind) ?? 0n;
    return bytes === 0n ? [] : [`${formatBytes(bytes)} ${KIND_TEXTS[kind]}`];
  });
  const total = bytesOf(images.map(({ image }) => image));
  const text = [`${images.length} image(s) take up ${formatBytes(total)}`, parts.join(', ')].filter(
    (part) => part !== '',
  );
  const fields = Object.fromEntries(KINDS.map((kind) => [`${kind}_bytes`, sums.get(kind)]));
  reporter.data(text.join(': '), 'usage_totals', { images: images.length, allocation_bytes: total, ...fields });
}

const KIND_TEXTS: Readonly<Record<UseKind, string>> = {
  exclusive: 'for one user',
  shared: 'shared',
  reclaimable: 'reclaimable',
  held: 'unused but held',
  unseen: 'perhaps used',
};

const KINDS = ['exclusive', 'shared', 'reclaimable', 'held', 'unseen'] as const satisfies readonly UseKind[];

function ofKind(images: readonly ImageUsage[], wanted: UseKind): readonly MeasuredImage[] {
  return images.flatMap(({ kind, image }) => (kind === wanted ? [image] : []));
}

function bytesColumn(title: string, ...kinds: readonly UseKind[]): Column<ImageUsage> {
  return {
    title,
    text: ({ kind, image }) => (kinds.includes(kind) ? formatBytes(image.allocationBytes) : '-'),
    isRightAligned: true,
  };
}

/** Who needs it, and what keeps it from being reclaimed. */
function noteOf({ kind, users, image: { held } }: ImageUsage): string {
  const notes = [users.join(', '), kind === 'unseen' ? 'not everything could be seen' : '', heldText(held)];
  return notes.filter((note) => note !== '').join('; ');
}

function heldText(held: HeldReason | undefined): string {
  if (held === undefined) return '';
  return held === 'unknown' ? 'not everything is known about it' : RETAINED[held];
}

function imageFields({ image, kind, users }: ImageUsage): Fields {
  const { identity, volumeName, allocationBytes, held } = image;
  return { ...identity, volume: volumeName, allocation_bytes: allocationBytes, kind, users, held };
}

function userFields({ user, images, exclusive, freed }: UserUsage): Fields {
  return {
    user,
    needed_bytes: bytesOf(images),
    exclusive_bytes: bytesOf(exclusive),
    freed_bytes: bytesOf(freed),
    freed_volumes: freed.map(({ volumeName }) => volumeName),
  };
}
