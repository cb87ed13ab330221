import { formatBytes } from '../core/byte-size.ts';
import { assertNewName, snapshotId, snapshotIdentity } from '../core/snapshots.ts';
import { takeSnapshot } from '../execute/take-snapshot.ts';
import { runWatchedTask } from '../execute/watched-task.ts';
import type { FoundImage } from './find-image.ts';
import { assertRoom, openImage, permitted, withSoleUse } from './persistent-image.ts';
import type { LockedSession } from './session.ts';
import { sweepFailed } from './sweep-copy.ts';

/** `snapshot create IMAGE [NAME]`: keeps the present content of a persistent image. */
export async function createSnapshot(
  session: LockedSession,
  images: readonly FoundImage[],
  { image: word, name: given }: { readonly image: string; readonly name?: string | undefined },
): Promise<void> {
  const { environment, reporter, pool, context } = session;
  const { image, snapshots } = await openImage(session, permitted('snapshot create', word, images));
  const id = snapshotId(new Date(context.clock.now()).toISOString());
  const name = given ?? id;
  const identity = snapshotIdentity(image.record.identity, name, id);
  assertNewName(name, snapshots, image.label);
  const totalBytes = image.volume.lengthBytes ?? image.volume.allocationBytes;
  await assertRoom(session, image.volume.allocationBytes, `take a snapshot of image ${image.label}`);
  const subject = { volumeName: image.volume.name, identity: image.record.identity };
  const task = { kind: 'snapshot', ...subject, totalBytes } as const;
  const volumeName = await withSoleUse(session, image, true, (assertIdle) =>
    runWatchedTask(environment, `snapshot of ${image.label}`, task, (onProgress) =>
      takeSnapshot({ image, identity, poolType: pool.type, assertIdle, onProgress }, environment),
    ),
  ).catch((error: unknown) => sweepFailed(session, identity, error));
  const text = `took snapshot '${name}' of image ${image.label} (${formatBytes(image.volume.allocationBytes)})`;
  const fields = { image: image.volume.name, name, id, volume: volumeName };
  reporter.event('change', text, 'snapshot_created', { ...fields, size_bytes: image.volume.allocationBytes });
}
