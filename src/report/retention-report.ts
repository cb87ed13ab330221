import { formatBytes } from '../core/byte-size.ts';
import { identityText } from '../core/identity.ts';
import type { CandidateReason, RetainReason, RetentionVerdict } from '../core/retention.ts';
import type { Rescue } from '../core/undo-plan.ts';
import { dateOf, isoTime } from './iso-time.ts';
import type { Fields, Reporter } from './reporter.ts';
import { reasonFields, reasonText } from './sweep-report.ts';

/** Why an image is held on to. */
export const RETAINED: Readonly<Record<RetainReason, string>> = {
  offered: 'it is offered to new domains',
  newest: 'it is among the newest versions of its product',
  locked: 'the administrator locked it',
  'in use': 'it is in use',
  disabled: 'it is disabled, not discarded',
  'on its way': 'it has not arrived wholly yet',
  gone: 'its product left the source or the filters, which alone is no reason to drop it',
  persistent: 'it is persistent',
  snapshot: 'it is a snapshot of a persistent image',
  own: 'a person brought it in, and no policy is about such images',
  unclaimed: 'nothing is written down about it, and no source that is known here listed it',
};

const SELECTED: Readonly<Record<CandidateReason, string>> = {
  withdrawn: 'it was withdrawn before',
  failed: 'it failed a check',
  unknown: 'nothing is known about it',
  replaced: 'newer versions replace it',
  recalled: 'its source offers an older version only',
  gone: 'its product left the source or the filters',
  unused: 'nothing needed it for so long',
  size: 'the images take up too much space',
};

/** Shows what retention holds on to, and what it would take out of use. */
export function showRetention(verdicts: readonly RetentionVerdict[], reporter: Reporter): void {
  for (const verdict of verdicts) {
    if (verdict.action === 'candidate') continue;
    const { image, eligibleAt } = verdict;
    const time = eligibleAt === undefined ? '' : `, eligible at ${isoTime(eligibleAt)}`;
    const text = `keep image ${identityText(image.identity)}: ${verdictText(verdict)}${time}`;
    reporter.event('detail', text, 'retention', fieldsOf(verdict));
  }
}

/** Shows what would be taken out of use, now that nothing is changed. */
export function showRetirements(verdicts: readonly RetentionVerdict[], reporter: Reporter): void {
  for (const verdict of verdicts) {
    const text = `would retire image ${identityText(verdict.image.identity)}: ${verdictText(verdict)}`;
    reporter.event('change', text, 'retention', fieldsOf(verdict));
  }
}

/** Shows an image that waits for its deletion and would be taken back, because something needs it again. */
export function showRescue({ record, need }: Rescue, isDryRun: boolean, reporter: Reporter): void {
  const { identity, volumeName } = record;
  const verb = isDryRun ? 'would rescue' : 'rescued';
  const fields = { dry_run: isDryRun, ...identity, volume: volumeName, ...reasonFields(need) };
  reporter.event('change', `${verb} image ${identityText(identity)}: ${reasonText(need)}`, 'rescue', fields);
}

/** Says that an image was taken out of use. */
export function showRetired(verdict: RetentionVerdict, reporter: Reporter): void {
  const text = `retired image ${identityText(verdict.image.identity)}: ${verdictText(verdict)}`;
  reporter.event('change', text, 'retired', fieldsOf(verdict));
}

/** Names the run by which what it retired can be taken back, if there is anything. */
export function showRun(runId: string, count: number, reporter: Reporter): void {
  if (count === 0) return;
  const text = `${count} image(s) now wait to be deleted; 'poolkeeper undo ${runId}' takes them back`;
  reporter.event('info', text, 'run', { run: runId, count });
}

/** What the pool's images take up before and after a collection. */
export interface Totals {
  readonly heldBytes: bigint;
  readonly freedBytes: bigint;
  /** When the trash lets go of them; `undefined`: they are free now. */
  readonly freedOn?: number | undefined;
}

/** Shows what a collection freed, or would free, and what stays. */
export function showTotals({ heldBytes, freedBytes, freedOn }: Totals, isDryRun: boolean, reporter: Reporter): void {
  const leftBytes = heldBytes - freedBytes;
  const verb = isDryRun ? 'would free' : 'freed';
  const size = formatBytes(freedBytes);
  const free = freedOn === undefined ? `${verb} ${size}` : `${size} will be freed on ${dateOf(freedOn)}`;
  const text = `${free}; images held ${formatBytes(heldBytes)} before, ${formatBytes(leftBytes)} after`;
  const sizes = { held_bytes_before: heldBytes, freed_bytes: freedBytes, held_bytes_after: leftBytes };
  const fields = freedOn === undefined ? sizes : { ...sizes, freed_at: isoTime(freedOn) };
  reporter.event('info', text, 'totals', { dry_run: isDryRun, ...fields });
}

/** Why an image is held on to, or why it may go. */
export function verdictText(verdict: RetentionVerdict): string {
  if (verdict.action === 'candidate') return SELECTED[verdict.reason];
  const { neededBy } = verdict.image;
  const by = verdict.reason === 'in use' && neededBy !== undefined ? ` (${neededBy})` : '';
  return RETAINED[verdict.reason] + by;
}

function fieldsOf({ image, action, reason, eligibleAt }: RetentionVerdict): Fields {
  const time = eligibleAt === undefined ? {} : { eligible_at: isoTime(eligibleAt) };
  const size = { allocation_bytes: image.sizeBytes };
  const cause = reason === 'in use' ? { cause: image.neededBy } : {};
  return { action, ...image.identity, volume: image.volumeName, reason, ...cause, ...size, ...time };
}
