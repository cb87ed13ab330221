import { formatBytes } from '../core/byte-size.ts';
import { formatDuration } from '../core/duration.ts';
import { type Identity, identityText } from '../core/identity.ts';
import type { PoolVolume } from '../core/sweep-plan.ts';
import { isoTime } from './iso-time.ts';
import { printableLine } from './printable.ts';
import type { Fields, Reporter } from './reporter.ts';

/** A volume that nothing needs, as far as can be seen. */
export interface Orphan {
  readonly volume: PoolVolume & { readonly format: string | undefined };
  readonly poolUuid: string;
  /** `young`: it changed too recently to tell; `unseen`: something that could not be seen may need it. */
  readonly state: 'orphaned' | 'young' | 'unseen';
  /** Why it is only listed, even if it is an orphan; `undefined` for what may be deleted. */
  readonly lasting: string | undefined;
  readonly ageMs: number | undefined;
  /** The images that it may hold: by their size only, or the one whose digest it has. */
  readonly identified: { readonly by: 'size' | 'digest'; readonly identities: readonly Identity[] };
}

const HEADINGS = [
  ['orphaned', (count: number) => `Found ${count} orphaned volume${count === 1 ? '' : 's'}:`],
  ['young', () => 'Not needed, but changed too recently to be called orphaned (--min-age):'],
  ['unseen', () => 'Perhaps orphaned, but not everything could be seen that may need them:'],
] as const;

/** Lists orphans in a table, and how much their deletion would free. */
export function showOrphans(orphans: readonly Orphan[], reporter: Reporter): void {
  const width = Math.max('Pool:'.length, ...orphans.map((orphan) => poolText(orphan).length));
  for (const [state, heading] of HEADINGS) {
    const members = orphans.filter((orphan) => orphan.state === state);
    if (members.length === 0) continue;
    const title = `${heading(members.length)}\n${'Pool:'.padEnd(width)}  Volume:`;
    reporter.data(title, 'orphans', { state, count: members.length });
    for (const orphan of members)
      reporter.data(printableLine(orphanText(orphan, width)), 'orphan', orphanFields(orphan));
  }
  const freedBytes = orphans.filter(isDeletable).reduce((sum, { volume }) => sum + volume.allocationBytes, 0n);
  if (orphans.some(({ state }) => state === 'orphaned')) {
    reporter.data(`Space cleared after cleanup: ${formatBytes(freedBytes)}`, 'space', { freed_bytes: freedBytes });
  } else reporter.data('Found no orphaned volumes', 'space', { freed_bytes: 0 });
}

/** Whether nothing speaks against deleting it, once somebody agrees. */
export function isDeletable({ state, lasting }: Orphan): boolean {
  return state === 'orphaned' && lasting === undefined;
}

function orphanText(orphan: Orphan, width: number): string {
  const { volume, ageMs, lasting } = orphan;
  const details = [
    ...(volume.format === undefined ? [] : [volume.format]),
    `${formatBytes(volume.allocationBytes)} allocated`,
    ageMs === undefined ? 'time of change unknown' : `changed ${formatDuration(ageMs)} ago`,
    ...identityTexts(orphan),
    ...(lasting === undefined ? [] : [`never deleted: ${lasting}`]),
  ];
  const capacity = `(${formatBytes(volume.capacityBytes)})`;
  return `${poolText(orphan).padEnd(width)}  ${volume.name}  ${capacity}  ${details.join(', ')}`;
}

function identityTexts({ identified: { by, identities } }: Orphan): readonly string[] {
  const names = identities.map(identityText).join(' or ');
  if (identities.length === 0) return [];
  return [by === 'digest' ? `is image ${names}` : `has the size of image ${names}`];
}

function orphanFields(orphan: Orphan): Fields {
  const { volume, poolUuid, state, lasting, ageMs, identified } = orphan;
  return {
    pool: volume.pool,
    pool_uuid: poolUuid,
    volume: volume.name,
    path: volume.path,
    format: volume.format,
    capacity_bytes: volume.capacityBytes,
    allocation_bytes: volume.allocationBytes,
    modified_at: isoTime(volume.modifiedAtMs),
    age_seconds: ageMs === undefined ? undefined : Math.floor(ageMs / 1000),
    state,
    never_deleted: lasting,
    ...(identified.identities.length === 0 ? {} : { identified_by: identified.by, images: identified.identities }),
  };
}

function poolText({ volume, poolUuid }: Orphan): string {
  return `${volume.pool} (${poolUuid})`;
}
