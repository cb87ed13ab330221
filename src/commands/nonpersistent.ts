import { identityText } from '../core/identity.ts';
import { traitsOf } from '../core/image-summary.ts';
import { isLocalImage } from '../core/local-image.ts';
import type { Digest, ImageRecord } from '../core/record.ts';
import { planUndo } from '../core/undo-plan.ts';
import { ensureRecord } from '../execute/ensure-record.ts';
import { putRecord, unknownOrigin } from '../execute/environment.ts';
import { restoreImage } from '../execute/restore-image.ts';
import { verifyImage } from '../execute/verify-image.ts';
import { lookupVolume, type Volume } from '../libvirt/volume.ts';
import type { CommandContext } from './context.ts';
import type { FoundImage } from './find-image.ts';
import { imageCommand } from './image-command.ts';
import { assertSeen, inUse, lookAtUse } from './image-use.ts';
import type { ImageArguments, Verb } from './options.ts';
import { imageText, permit } from './permit.ts';
import type { LockedSession } from './session.ts';

/** `nonpersistent IMAGE`: makes it an image again on which many domains can stand. */
export function nonpersistentCommand(context: CommandContext): Verb<ImageArguments> {
  return imageCommand(context, 'nonpersistent', makeShared);
}

/**
 * What a domain wrote is what the image is from now on; an image of a source that has changed is no longer what the source
 * published, and is not offered under its name. Crash order: the record first, then the offer.
 */
async function makeShared(session: LockedSession, image: FoundImage, images: readonly FoundImage[]): Promise<void> {
  const { environment, reporter, connection, pool } = session;
  const fields = { ...image.identity, volume: image.volumeName };
  const permission = permit('nonpersistent', image);
  if (permission.kind === 'done') {
    const text = `nothing to do for ${imageText(image)}: ${permission.why}`;
    return reporter.event('info', text, 'nonpersistent', { ...fields, is_changed: false });
  }
  await assertAlone(session, image, images);
  const record = await ensureRecord(image, environment);
  const volume = await lookupVolume(connection, pool.name, image.volumeName);
  const written = await writeShared(session, record, { volume, found: await readAgain(session, record, volume) });
  const held = images.filter(({ hasVolume }) => hasVolume);
  for (const restoration of written.status === 'active' ? planUndo([written], held) : [])
    await restoreImage(restoration, environment);
  const text = `${imageText(image)} is not persistent any more${consequenceOf(record, written)}`;
  reporter.event('change', text, 'nonpersistent', { ...fields, is_changed: true, status: written.status });
}

/** @throws InUseError, IncompleteViewError when it has snapshots, or something uses it or might. */
async function assertAlone(session: LockedSession, image: FoundImage, images: readonly FoundImage[]): Promise<void> {
  const snapshots = images.filter((other) => other.hasVolume && other.record?.traits?.snapshotOf === image.volumeName);
  if (snapshots.length > 0) throw inUse('nonpersistent', image, `it has ${snapshots.length} snapshot(s)`);
  const use = await lookAtUse(session, image);
  if (use.users.length > 0) throw inUse('nonpersistent', image, `it is used by ${use.users.join(', ')}`);
  assertSeen('nonpersistent', image, use);
}

/** The checksum that it has now, if it ever had one. */
async function readAgain(
  { environment }: LockedSession,
  { identity, provenance: { digest } }: ImageRecord,
  volume: Volume,
): Promise<Digest | undefined> {
  return digest === undefined ? undefined : verifyImage({ volume, identity, digest }, environment);
}

function writeShared(
  { environment }: LockedSession,
  record: ImageRecord,
  { volume, found }: { readonly volume: Volume; readonly found: Digest | undefined },
): Promise<ImageRecord> {
  const { volumeName, identity, provenance, status } = record;
  const traits = { ...traitsOf(record), isPersistent: false };
  const same = { volumeName, identity, status, provenance, tags: record.tags, traits };
  if (found === undefined || found.hex === provenance.digest?.hex) return putRecord(environment, record, same);
  const isLocal = isLocalImage(identity);
  const content = { digest: found, sizeBytes: volume.lengthBytes ?? provenance.sizeBytes };
  const tags = { ...record.tags, [found.algorithm]: found.hex, size: String(content.sizeBytes ?? '') };
  return putRecord(environment, record, {
    ...same,
    tags,
    status: isLocal ? status : 'deactivated',
    provenance: { ...(isLocal ? provenance : unknownOrigin('changed here')), ...content },
  });
}

function consequenceOf(before: ImageRecord, { identity, status }: ImageRecord): string {
  if (status === before.status) return '';
  return `; it is disabled, because its content is no longer that of ${identityText(identity)}`;
}
