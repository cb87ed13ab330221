import { join } from 'node:path';
import {
  emptyByPolicy,
  emptyTrash,
  makeRoom,
  plannedRescues,
  readTrash,
  rescueFromTrash,
  type SpacePolicy,
} from '../app/trash.ts';
import { FailureError, IncompleteViewError, InUseError, PartialError } from '../errors.ts';
import { confirm } from '../report/prompt.ts';
import { showEmptied, showPlannedRescues, showReturned, showTrash, showTrashTotals } from '../report/trash-report.ts';
import { readMoment } from '../state/lived-count.ts';
import { repairState } from './repair-state.ts';
import type { LockedSession, Session } from './session.ts';

/** Brings back what something has begun to need since it was deleted, and says so. */
export async function rescueTrashed(session: LockedSession): Promise<void> {
  showReturned(await rescueFromTrash(session), 'need', session.reporter);
}

/** Shows what a run would bring back. */
export async function showRescuesOfTrash(session: Session): Promise<void> {
  const { pool, context, paths } = session;
  const needs = await plannedRescues(session, { pool, uid: context.uid }, paths);
  showPlannedRescues(needs, session.reporter);
}

/** Empties the trash of what is old enough or in the way, and says so. */
export async function emptyTrashByPolicy(session: LockedSession, policy: SpacePolicy): Promise<void> {
  const { livedSince } = await readMoment(session.stateDir, session.context.clock);
  const { emptied, returned } = await emptyByPolicy(session, { ...policy, livedSince });
  showReturned(returned, 'need', session.reporter);
  showEmptied(emptied, session.reporter);
}

/**
 * Empties the trash until so many bytes are gained.
 *
 * @returns whether anything was.
 */
export async function makeRoomInTrash(session: LockedSession, neededBytes: bigint): Promise<boolean> {
  const { emptied, returned } = await makeRoom(session, neededBytes);
  showReturned(returned, 'need', session.reporter);
  showEmptied(emptied, session.reporter);
  return emptied.some(({ result }) => result === 'unlinked');
}

/** Shows what lies in the trash of the pool. */
export async function showWholeTrash({ pool, context, paths, trashForMs, reporter }: Session): Promise<void> {
  const entries = await readTrash({ pool, uid: context.uid }, paths);
  showTrash(entries, trashForMs, reporter);
}

/**
 * Deletes for good what lies in the trash; what something has begun to need comes back instead.
 *
 * @throws FailureError when nobody agrees; IncompleteViewError, PartialError when something had to stay.
 */
export async function emptyWholeTrash(session: LockedSession, isAgreed: boolean): Promise<void> {
  const { environment, paths, context, reporter, pool, trashForMs } = session;
  await repairState(session);
  const entries = await readTrash(environment, paths);
  if (entries.length === 0) return;
  if (!isAgreed) {
    if (!context.isInteractive) {
      throw new FailureError(`cannot ask whether to empty the trash of storage pool '${pool.name}'`, {
        hint: 'look at it with --dry-run; without a terminal, confirm with --yes',
      });
    }
    showTrash(entries, trashForMs, reporter);
    showTrashTotals(entries, trashForMs, reporter);
    if (!(await confirm('Delete all of it for good', context, context.signal)))
      throw new FailureError('nothing was deleted');
  }
  const goal = { now: environment.clock.now(), keepMs: Number.NEGATIVE_INFINITY, neededBytes: 0n };
  const { emptied, returned } = await emptyTrash(session, goal, true);
  showReturned(returned, 'need', reporter);
  showEmptied(emptied, reporter);
  const failed = emptied.filter(({ result }) => result === 'failed').length;
  if (failed > 0) throw new PartialError(`${failed} of ${entries.length} volume(s) could not be deleted`);
  const named = emptied.filter(({ result }) => result === 'named');
  if (named.length > 0) {
    const files = named.map(({ entry: { place, id, volumeName } }) => join(place, id, volumeName)).join(', ');
    throw new InUseError(`did not delete ${named.length} volume(s): something names ${files}`, {
      hint: `'poolkeeper undo' brings them back; let what names them name their former path then`,
    });
  }
  const unseen = emptied.filter(({ result }) => result === 'unseen').length;
  if (unseen > 0) {
    throw new IncompleteViewError(
      `did not delete ${unseen} volume(s): the kernel does not tell whether somebody has them open`,
      {
        hint: 'run as root, on the host of the storage pool itself',
      },
    );
  }
}
