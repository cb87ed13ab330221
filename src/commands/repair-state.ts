import { join } from 'node:path';
import { identityText } from '../core/identity.ts';
import { isLocalImage } from '../core/local-image.ts';
import type { JournalIntent, OpenIntent } from '../core/journal.ts';
import { findPartialImages, type PartialImage, unfinishedVolumes } from '../core/partial-image.ts';
import type { ImageRecord } from '../core/record.ts';
import { isHindrance } from '../core/reference.ts';
import { FailureError, IncompleteViewError, InUseError, NoSpaceError } from '../errors.ts';
import { putRecord, unknownOrigin } from '../execute/environment.ts';
import { findVolume } from '../execute/own-volume.ts';
import { offerImage } from '../execute/offer-image.ts';
import { judgePool } from '../gather/judge-pool.ts';
import { gatherPoolView, type PoolView, volumeNameIn } from '../gather/pool-view.ts';
import { contentStamp, fileIdentity, isBeingWritten } from '../gather/volume-file.ts';
import { listVolumeNames } from '../libvirt/volume.ts';
import { reasonText } from '../report/sweep-report.ts';
import { setAside } from '../state/set-aside.ts';
import { foreignMetadata } from './foreign-metadata.ts';
import { showReturned } from '../report/trash-report.ts';
import { mendTrash } from '../app/trash.ts';
import { assertNotOpen } from '../execute/assert-not-open.ts';
import { askPatiently } from '../state/trash.ts';
import { resumeReplacements } from './resume-replacements.ts';
import type { LockedSession, Session } from './session.ts';

/**
 * Brings the state back in order before anything is planned. What an interrupted run began is either finished by the plan
 * of this run, which looks at what is really there, or undone; damaged files are set aside, and their images are kept as
 * active so that nothing is lost with them.
 */
export async function repairState(session: LockedSession): Promise<void> {
  await resumeReplacements(session);
  showReturned(await mendTrash(session), 'interrupted', session.reporter);
  const { environment, reporter, connection, pool, paths } = session;
  const view = await gatherPoolView(pool, await listVolumeNames(connection, pool.name), paths);
  for (const { kind, name, identity, error } of view.damaged) {
    const dir = kind === 'record' ? paths.records : paths.metadata;
    if (kind === 'metadata file' && (await foreignMetadata(session, view, identity)) !== undefined) continue;
    let target: string;
    try {
      target = await setAside(join(dir, name), join(paths.root, 'set-aside'));
    } catch (cause) {
      if (!(cause instanceof FailureError)) throw cause;
      // A damaged file that stays where it is keeps its image as well.
      reporter.warning(cause.message, cause.hint);
      continue;
    }
    reporter.warning(`${error.message}; it was set aside as ${target}`, error.hint);
    const volumeName = volumeNameIn(pool)(identity);
    if (!view.managed.has(volumeName) || view.records.has(volumeName)) continue;
    await putRecord(environment, undefined, {
      volumeName,
      identity,
      status: 'active',
      provenance: unknownOrigin('unknown'),
      tags: {},
      // A lock, or that it is somebody's only copy, may have been lost with it: a person decides.
      ...(kind === 'record' && {
        pin: { reason: 'its record was damaged', since: environment.clock.now(), until: undefined },
      }),
    });
  }
  await closeIntents(session, view);
  await offerLocalImages(session, view);
}

/**
 * What came from a source is offered again by the next sync; of a local image that is active and has no metadata file
 * nobody else takes care.
 */
async function offerLocalImages({ environment }: LockedSession, { records, managed, metadata, unknown }: PoolView) {
  for (const { identity, status, volumeName, traits, tags } of records.values()) {
    const isWhole = status === 'active' && isLocalImage(identity) && managed.has(volumeName);
    const key = identityText(identity);
    if (!isWhole || traits?.snapshotOf !== undefined || metadata.has(key) || unknown.has(key)) continue;
    await offerImage({ identity, tags }, environment);
  }
}

/** Closes what the plan sees by looking at what is there; only of half an image the journal knows more. */
async function closeIntents(session: LockedSession, view: PoolView): Promise<void> {
  const { journal } = session.environment;
  const partials = await partialImages(session, view, journal.openIntents());
  const continued = new Set([...partials.values()].map(({ intentId }) => intentId));
  for (const { id, intent } of journal.openIntents()) {
    if (continued.has(id) || isOfReplacement(intent, journal.openIntents())) continue;
    const text = `an earlier run was interrupted during ${intent.kind}`;
    session.reporter.event('detail', text, 'recovery', { intent: intent.kind });
    try {
      if (await isUnderWay(intent, view, session.environment)) continue;
      await closeIntent({ id, intent }, view, session.environment);
    } catch (error) {
      if (!(error instanceof NoSpaceError)) throw error;
      // It stays open: a full disk must not keep anybody from making room.
      session.reporter.warning(error.message, error.hint);
    }
  }
}

/** Whether an intent is about a change of an image that could not be ended, or about the copy that this rests on. */
function isOfReplacement(intent: JournalIntent, all: readonly OpenIntent[]): boolean {
  if (intent.kind === 'replace') return true;
  return all.some(
    ({ intent: other }) =>
      other.kind === 'replace' && intent.kind === 'create' && other.sourceName === intent.volumeName,
  );
}

/** Whether something that the interrupted run started still writes to the volume that it was making. */
async function isUnderWay(
  intent: JournalIntent,
  { managed }: PoolView,
  environment: LockedSession['environment'],
): Promise<boolean> {
  if (intent.kind !== 'create' || !managed.has(intent.volumeName)) return false;
  const volume = await findVolume(environment, intent.volumeName);
  return volume !== undefined && isBeingWritten(volume);
}

async function closeIntent(
  { id, intent }: Pick<OpenIntent, 'id' | 'intent'>,
  view: PoolView,
  environment: LockedSession['environment'],
): Promise<void> {
  const record = 'volumeName' in intent ? view.records.get(intent.volumeName) : undefined;
  if (record !== undefined) await closeRecord(intent, record, { view, environment });
  await environment.journal.done(id);
}

/** What a record says after the run that changed it was interrupted. */
async function closeRecord(
  { kind }: JournalIntent,
  record: ImageRecord,
  { view, environment }: { readonly view: PoolView; readonly environment: LockedSession['environment'] },
): Promise<void> {
  const isThere = view.managed.has(record.volumeName);
  if (kind === 'delete' && !isThere) await putRecord(environment, record, { ...record, status: 'deleted' });
  if (kind !== 'create' || record.status !== 'importing') return;
  // Half of it may be there: from now on it is garbage, unless it is imported anew.
  const reason = 'it was interrupted before it was complete';
  // Whatever is written to it from now on is nobody's half image.
  const volume = isThere ? await findVolume(environment, record.volumeName) : undefined;
  const judged = volume && contentStamp(volume);
  const killed = await putRecord(environment, record, { ...record, status: 'killed', reason, judged });
  if (!isThere) await putRecord(environment, killed, { ...killed, status: 'deleted' });
}

/** What interrupted transfers left in the pool. */
export async function partialImages(
  { connection, pool }: Session,
  { records, managed }: PoolView,
  openIntents: readonly OpenIntent[],
): Promise<ReadonlyMap<string, PartialImage>> {
  const lengths = new Map<string, bigint>();
  const files = new Map<string, string>();
  for (const name of unfinishedVolumes(records, openIntents)) {
    const volume = managed.has(name) ? await findVolume({ connection, poolName: pool.name }, name) : undefined;
    const identity = volume && fileIdentity(volume);
    if (volume?.lengthBytes !== undefined) lengths.set(name, volume.lengthBytes);
    if (identity !== undefined) files.set(name, identity);
  }
  return findPartialImages({ records, lengths, files, openIntents });
}

/**
 * Makes a check that nothing needs the volume that an interrupted run left, by the same rule under which volumes are deleted.
 * What cannot be seen is no obstacle: nothing is lost when the rest of an image is written. But whoever cannot prove that
 * nobody has the file open may only touch what the same run has made (`isOfThisRun`).
 *
 * The check throws InUseError when something needs the volume, and IncompleteViewError when this run cannot tell.
 */
export function assertUnusedIn(session: Session): (volumeName: string, isOfThisRun: boolean) => Promise<void> {
  return async (volumeName, isOfThisRun) => {
    const policy = { now: session.context.clock.now(), graceMs: 0, minAgeMs: 0 };
    const scope = new Set([volumeName]);
    const { verdicts, isHere } = await judgePool(session, policy, { only: scope, retired: scope });
    const [verdict] = verdicts;
    const assertClosed = async (path: string): Promise<void> => {
      if (isHere && !isOfThisRun) assertNotOpen(await askPatiently(path), `'${volumeName}'`);
    };
    if (verdict?.action === 'delete') return assertClosed(verdict.volume.path);
    if (verdict?.reason.kind === 'unseen') {
      const hindrance = verdict.reason.blindSpots.find(isHindrance);
      if (hindrance === undefined || isOfThisRun) return assertClosed(verdict.volume.path);
      const { what, cause, remedy } = hindrance;
      throw new IncompleteViewError(`cannot touch the unfinished volume '${volumeName}': nobody can tell ${what}`, {
        hint: `${cause}; ${remedy}`,
      });
    }
    const reason = verdict === undefined ? 'it cannot be judged' : reasonText(verdict.reason);
    throw new InUseError(`cannot write to the unfinished volume '${volumeName}': ${reason}`, {
      hint: 'remove what uses it, then run again',
    });
  };
}
