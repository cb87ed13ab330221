import type { Verdict } from '../core/sweep-plan.ts';
import { childrenOf, findSnapshot, imageLabel, type Snapshot } from '../core/snapshots.ts';
import { FailureError, InUseError } from '../errors.ts';
import { withdrawImage } from '../execute/withdraw-image.ts';
import { heldBack, reasonText, showSwept } from '../report/sweep-report.ts';
import type { FoundImage } from './find-image.ts';
import { assertSettled, permitted, readSnapshots } from './persistent-image.ts';
import type { LockedSession } from './session.ts';
import { sweepVolume } from './sweep-copy.ts';

interface DeleteRequest {
  readonly image: string;
  readonly name: string;
  readonly now: boolean;
}

/** `snapshot delete IMAGE NAME`: lets a snapshot go that neither its image nor another snapshot stands on. */
export async function deleteSnapshot(
  session: LockedSession,
  images: readonly FoundImage[],
  { image: word, name, now }: DeleteRequest,
): Promise<void> {
  const { environment, reporter } = session;
  const found = permitted('snapshot delete', word, images);
  const { volumeName: image, identity } = found;
  const label = imageLabel(identity);
  assertSettled(session, found, label);
  const { snapshots } = await readSnapshots(session, image);
  const snapshot = findSnapshot(name, snapshots, label);
  assertDeletable(snapshot, snapshots, label);
  const { record, volumeName } = snapshot;
  if (record.status !== 'pending_delete')
    await withdrawImage({ identity: record.identity, volumeName, record }, environment);
  const fields = { image, name: snapshot.name, id: snapshot.id, volume: volumeName };
  if (!now) {
    const text = `snapshot '${snapshot.name}' of image ${label} waits for its deletion`;
    reporter.event('change', text, 'snapshot_withdrawn', fields);
    return;
  }
  const { verdict, outcome } = await sweepVolume(session, volumeName);
  if (outcome === undefined) throw stays(snapshot, label, verdict);
  showSwept(outcome, reporter, session.trashForMs);
  const unseen = heldBack([outcome]);
  if (unseen !== undefined) throw unseen;
  if (outcome.result !== 'deleted')
    throw new FailureError(`snapshot '${snapshot.name}' of image ${label} was not deleted`);
}

function assertDeletable(snapshot: Snapshot, snapshots: readonly Snapshot[], label: string): void {
  const { name, isCurrent } = snapshot;
  if (isCurrent) {
    throw new InUseError(`cannot delete snapshot '${name}': image ${label} stands on it`, {
      hint: `'poolkeeper snapshot revert' to another one or 'snapshot flatten' ends that`,
    });
  }
  const children = childrenOf(snapshot, snapshots).map((child) => `'${child.name}'`);
  if (children.length === 0) return;
  throw new InUseError(`cannot delete snapshot '${name}' of image ${label}: ${children.join(', ')} stand on it`, {
    hint: 'delete those first',
  });
}

function stays({ name }: Snapshot, label: string, verdict: Verdict | undefined): InUseError {
  const reason = verdict?.action === 'keep' ? reasonText(verdict.reason) : 'it cannot be judged';
  return new InUseError(`snapshot '${name}' of image ${label} stays for now: ${reason}`, {
    hint: 'it is deleted as soon as nothing needs it',
  });
}
