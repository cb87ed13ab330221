import { formatBytes } from '../core/byte-size.ts';
import { decodeVolumeName } from '../core/identity.ts';
import type { KeepReason, PoolVolume, SweepOutcome, Verdict } from '../core/sweep-plan.ts';
import { chainOf, type Need } from '../core/use-graph.ts';
import { type BlindSpot, isHindrance } from '../core/reference.ts';
import { IncompleteViewError } from '../errors.ts';
import { freedAt } from '../core/trash.ts';
import { dateOf, isoTime } from './iso-time.ts';
import type { Fields, Reporter } from './reporter.ts';

/** What the user calls a volume: the image in it where the name says so. */
export function volumeText({ name, pool }: Pick<PoolVolume, 'name' | 'pool'>): string {
  const identity = decodeVolumeName(name);
  return identity === undefined
    ? `volume '${name}' in pool '${pool}'`
    : `image ${identity.product} ${identity.version}`;
}

/** Shows every verdict: deletions always, the others with `-v`. */
export function showVerdicts(verdicts: readonly Verdict[], reporter: Reporter, isDryRun: boolean): void {
  for (const verdict of verdicts) {
    const { volume, action } = verdict;
    const fields = { action, pool: volume.pool, volume: volume.name, allocation_bytes: volume.allocationBytes };
    if (action === 'delete') {
      if (isDryRun)
        reporter.event(
          'change',
          `would delete ${volumeText(volume)} (${formatBytes(volume.allocationBytes)})`,
          'verdict',
          fields,
        );
    } else {
      const weight = isDryRun ? 'info' : 'detail';
      reporter.event(weight, `keep ${volumeText(volume)}: ${reasonText(verdict.reason)}`, 'verdict', {
        ...fields,
        ...reasonFields(verdict.reason),
      });
    }
  }
}

/** Why a volume stays, in one line. */
export function reasonText(reason: KeepReason): string {
  switch (reason.kind) {
    case 'needed':
      return `needed by ${needText(reason.need)}`;
    case 'grace':
      return `needed until recently, eligible at ${isoTime(reason.eligibleAt)}`;
    case 'young':
      return `changed recently, eligible at ${isoTime(reason.eligibleAt)}`;
    case 'unseen':
      return `${unseenText(reason.blindSpots)} (${reason.blindSpots.map(({ what }) => what).join(', ')})`;
    case 'volume type':
      return 'it is neither a file nor a block device';
  }
}

/** The facts of a reason, for JSON. */
export function reasonFields(reason: KeepReason): Fields {
  switch (reason.kind) {
    case 'needed':
      return { reason: reason.kind, cause: reason.need.cause, chain: chainFields(reason.need) };
    case 'grace':
    case 'young':
      return { reason: reason.kind, eligible_at: isoTime(reason.eligibleAt) };
    case 'unseen':
      return {
        reason: reason.kind,
        blind_spots: reason.blindSpots.map(({ what, cause, remedy }) => ({ what, cause, remedy })),
      };
    case 'volume type':
      return { reason: reason.kind };
  }
}

/** The outermost cause, and the way from it where that is more than one step. */
function needText(need: Need): string {
  const links = chainOf(need);
  const between = links.slice(1).map(({ from }) => from.label);
  return between.length === 0 ? need.cause : `${need.cause} through ${between.join(', ')}`;
}

/** The links of a need as data. */
export function chainFields(need: Need): readonly Fields[] {
  return chainOf(need).map(({ from, edge }) => ({
    from: from.label,
    document: edge.document,
    evidence: edge.reference.evidence,
    kind: edge.reference.kind,
    value: edge.reference.value,
  }));
}

/**
 * The error of a sweep that held back deletions because something could not be seen; `undefined` when none was.
 *
 * @param consequence what that means for the volumes, which are named next
 */
export function incompleteView(
  verdicts: readonly Verdict[],
  consequence = 'did not delete',
): IncompleteViewError | undefined {
  const held = verdicts.flatMap((verdict) =>
    verdict.action === 'keep' && verdict.reason.kind === 'unseen' ? [verdict.reason] : [],
  );
  const blindSpots = [...new Set(held.flatMap((reason) => reason.blindSpots))];
  if (blindSpots.length === 0) return undefined;
  const list = listOf(blindSpots);
  return new IncompleteViewError(
    `${consequence} ${held.length} unused volume(s), because ${unseenText(blindSpots)}:${list}`,
    {
      hint: 'clear the cause of each, then run again',
    },
  );
}

/** What kept a volume: something hides what needs it, or nobody here can tell who has it open. */
function unseenText(blindSpots: readonly BlindSpot[]): string {
  return blindSpots.every(isHindrance) ? 'it cannot be told from here' : 'not everything could be seen';
}

/**
 * The error of a sweep that held back deletions, as `incompleteView`, when all of it was told before.
 *
 * @param since when just this could not be seen for the first time, in milliseconds since the epoch.
 */
export function knownIncompleteView(verdicts: readonly Verdict[], since: number): IncompleteViewError | undefined {
  const held = verdicts.filter((verdict) => verdict.action === 'keep' && verdict.reason.kind === 'unseen').length;
  if (held === 0) return undefined;
  return new IncompleteViewError(
    `did not delete ${held} unused volume(s), because not everything could be seen: the same as on ${isoTime(since)}`,
    { hint: `'poolkeeper doctor' lists what it is, 'poolkeeper forget --missing' answers for what is gone` },
  );
}

/** Warns of what could not be seen where nothing was held back for it. */
export function warnOfUnseen(blindSpots: readonly BlindSpot[], reporter: Reporter): void {
  if (blindSpots.length === 0) return;
  reporter.warning(
    `not everything can be seen that may need images, so nothing that it concerns will be deleted:${listOf(blindSpots)}`,
    `clear the cause of each; 'poolkeeper forget --missing' answers for what is gone for good`,
  );
}

/** More than fit on a screen are for `doctor`. */
const MAX_LISTED = 20;

function listOf(blindSpots: readonly BlindSpot[]): string {
  const list = blindSpots.slice(0, MAX_LISTED).map((blindSpot) => `\n  ${blindSpotText(blindSpot)}`);
  const more = blindSpots.length - list.length;
  return list.join('') + (more > 0 ? `\n  and ${more} more, which 'poolkeeper doctor' lists` : '');
}

function blindSpotText({ what, cause, remedy }: BlindSpot): string {
  return `${what}: ${cause}; ${remedy}`;
}

/** The error of a sweep that spared volumes because nobody could tell whether somebody has them open; `undefined` when none was. */
export function heldBack(outcomes: readonly SweepOutcome[]): IncompleteViewError | undefined {
  const unseen = outcomes.flatMap((outcome) =>
    outcome.result === 'spared' && outcome.why === 'unseen' ? [outcome] : [],
  );
  if (unseen.length === 0) return undefined;
  const list = unseen.map(({ volume, reason }) => `\n  ${volumeText(volume)}: ${reason}`).join('');
  return new IncompleteViewError(
    `did not delete ${unseen.length} unused volume(s), because not everything could be seen:${list}`,
    { hint: `run as root, on the host of the storage pool itself; 'poolkeeper doctor' tells what is missing` },
  );
}

/**
 * Says what became of a volume that was to be deleted.
 *
 * @param keepMs how long the trash is kept.
 */
export function showSwept(outcome: SweepOutcome, reporter: Reporter, keepMs: number): void {
  const { volume, result } = outcome;
  const fields = { result, pool: volume.pool, volume: volume.name, allocation_bytes: volume.allocationBytes };
  switch (outcome.result) {
    case 'deleted':
      reporter.event('change', `deleted ${volumeText(volume)} (${freedText(outcome, keepMs)})`, 'swept', {
        ...fields,
        ...freedFields(outcome, keepMs),
      });
      if (outcome.noTrash !== undefined)
        reporter.warning(
          `${volumeText(volume)} cannot be brought back: there is no place for a trash (${outcome.noTrash})`,
        );
      if (outcome.unrecorded !== undefined) reporter.error(outcome.unrecorded);
      break;
    case 'spared':
      reporter.event('change', `spared ${volumeText(volume)}: ${outcome.reason}`, 'swept', {
        ...fields,
        why: outcome.why,
        reason: outcome.reason,
      });
      break;
    case 'failed':
      reporter.error(outcome.error);
      break;
  }
}

type Deleted = Extract<SweepOutcome, { result: 'deleted' }>;

function freedText({ volume, trashed }: Deleted, keepMs: number): string {
  const size = `${formatBytes(volume.allocationBytes)} freed`;
  return trashed === undefined ? size : `${size} on ${dateOf(freedAt(trashed, { keepMs }))}`;
}

function freedFields({ trashed }: Deleted, keepMs: number): Fields {
  return trashed === undefined ? {} : { trash_id: trashed.id, freed_at: isoTime(freedAt(trashed, { keepMs })) };
}
