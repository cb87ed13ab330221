import { temporaryIdentity, flatBytes, snapshotId } from '../core/snapshots.ts';
import { flattenImage } from '../execute/take-snapshot.ts';
import { runWatchedTask } from '../execute/watched-task.ts';
import type { FoundImage } from './find-image.ts';
import { assertRoom, openImage, permitted, withSoleUse } from './persistent-image.ts';
import type { LockedSession } from './session.ts';
import { sweepCopy, sweepFailed } from './sweep-copy.ts';

/** `snapshot flatten IMAGE`: makes a persistent image stand on nothing, with the content that it has. */
export async function flattenSnapshots(
  session: LockedSession,
  images: readonly FoundImage[],
  { image: word }: { readonly image: string },
): Promise<void> {
  const { environment, reporter, pool, context } = session;
  const { image, layers } = await openImage(session, permitted('snapshot flatten', word, images));
  const { volume, header, label, record } = image;
  if (header.backingFile === undefined) {
    reporter.event('info', `image ${label} stands on nothing already`, 'unchanged', { image: volume.name });
    return;
  }
  const identity = temporaryIdentity(record.identity, snapshotId(new Date(context.clock.now()).toISOString()));
  const flat = flatBytes(volume.name, layers, header.virtualSizeBytes);
  // The temporary copy and the image itself, whose old volume goes in between.
  await assertRoom(session, 2n * flat - volume.allocationBytes, `flatten image ${label}`);
  const subject = { volumeName: volume.name, identity: record.identity };
  const task = { kind: 'flatten', ...subject } as const;
  const copyName = await withSoleUse(session, image, true, (assertIdle) =>
    runWatchedTask(environment, `flatten ${label}`, task, () =>
      flattenImage({ image, identity, poolType: pool.type, assertIdle }, environment),
    ),
  ).catch((error: unknown) => sweepFailed(session, identity, error));
  await sweepCopy(session, copyName);
  const text = `flattened image ${label}: it stands on nothing any more; its snapshots remain`;
  reporter.event('change', text, 'flattened', { image: volume.name });
}
