import { formatBytes } from '../core/byte-size.ts';
import { findSnapshot, type Snapshot } from '../core/snapshots.ts';
import { FailureError } from '../errors.ts';
import { guardOf, type PersistentImage, replacementOf } from '../execute/persistent-image.ts';
import { replaceVolume } from '../execute/replace-volume.ts';
import { runTask } from '../execute/run-task.ts';
import { confirm } from '../report/prompt.ts';
import type { FoundImage } from './find-image.ts';
import { openImage, permitted, type SnapshottedImage, withSoleUse } from './persistent-image.ts';
import type { LockedSession } from './session.ts';

interface RevertRequest {
  readonly image: string;
  readonly name: string;
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** `snapshot revert IMAGE NAME`: gives a persistent image the content of a snapshot. What it holds now is lost. */
export async function revertSnapshot(
  session: LockedSession,
  images: readonly FoundImage[],
  { image: word, name, yes, dryRun }: RevertRequest,
): Promise<void> {
  const { reporter } = session;
  const opened = await openImage(session, permitted('snapshot revert', word, images));
  const { image, snapshots } = opened;
  const { volume, label } = image;
  const snapshot = findSnapshot(name, snapshots, label);
  assertUsable(snapshot, label);
  if (snapshot.isCurrent && image.isEmpty) {
    const text = `image ${label} is as it was at snapshot '${snapshot.name}' already`;
    reporter.event('info', text, 'unchanged', { image: volume.name, name: snapshot.name });
    return;
  }
  const isDone = await withSoleUse(session, image, false, async (assertIdle) => {
    showLoss(session, opened, snapshot);
    if (dryRun) return false;
    if (!yes && !image.isEmpty) await assertConfirmed(session, label);
    await revertTo(session, image, { snapshot, assertIdle });
    return true;
  });
  if (!isDone) return;
  const fields = { image: volume.name, name: snapshot.name, id: snapshot.id };
  reporter.event('change', `reverted image ${label} to snapshot '${snapshot.name}'`, 'reverted', fields);
}

async function revertTo(
  { environment }: LockedSession,
  image: PersistentImage,
  { snapshot, assertIdle }: { readonly snapshot: Snapshot; assertIdle(this: void): Promise<void> },
): Promise<void> {
  const replacement = replacementOf(image, { sourceName: snapshot.volumeName, content: 'overlay' });
  const subject = { volumeName: image.volume.name, identity: image.record.identity };
  await runTask(environment, { kind: 'revert', ...subject }, () =>
    replaceVolume(replacement, guardOf(image, assertIdle), environment),
  );
}

function assertUsable({ record, name }: Snapshot, label: string): void {
  if (record.status !== 'pending_delete') return;
  throw new FailureError(`snapshot '${name}' of image ${label} waits for its deletion`, {
    hint: `'poolkeeper undo' takes it back`,
  });
}

function showLoss({ reporter }: LockedSession, { image, snapshots }: SnapshottedImage, to: Snapshot): void {
  const { label, volume, isEmpty }: PersistentImage = image;
  const current = snapshots.find(({ isCurrent }) => isCurrent);
  const since = current === undefined ? 'and no snapshot holds' : `since snapshot '${current.name}'`;
  const text = isEmpty
    ? `image ${label} loses nothing: nothing was written to it ${since}`
    : `image ${label} loses what was written to it ${since}: ${formatBytes(volume.allocationBytes)}`;
  const fields = {
    image: volume.name,
    to: to.name,
    from: current?.name,
    lost_bytes: isEmpty ? 0n : volume.allocationBytes,
  };
  reporter.event('change', text, 'loss', fields);
}

async function assertConfirmed({ context }: LockedSession, label: string): Promise<void> {
  if (!context.isInteractive) {
    throw new FailureError(`cannot ask whether to revert image ${label}`, {
      hint: 'without a terminal, confirm with --yes',
    });
  }
  if (!(await confirm('Proceed', context, context.signal))) throw new FailureError('nothing was reverted');
}
