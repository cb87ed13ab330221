import { encodeVolumeName, type Identity } from '../core/identity.ts';
import { traitsOf } from '../core/image-summary.ts';
import type { ImageRecord } from '../core/record.ts';
import type { Permissions } from '../core/permissions.ts';
import { FailureError } from '../errors.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { createVolumeFrom, volumeXml } from '../libvirt/volume.ts';
import { readRecords } from '../state/records.ts';
import { copyVolume } from './copy-volume.ts';
import { type Environment, putRecord, unknownOrigin } from './environment.ts';
import { makeDurable } from './make-durable.ts';
import { findVolume } from './own-volume.ts';
import { guardOf, type PersistentImage, replacementOf } from './persistent-image.ts';
import { replaceVolume } from './replace-volume.ts';

/** A copy to make of a persistent image, and how it is watched. */
export interface CopyRequest {
  readonly image: PersistentImage;
  readonly identity: Identity;
  readonly poolType: string;
  assertIdle(this: void): Promise<void>;
  readonly onProgress?: ((doneBytes: bigint) => void) | undefined;
}

/**
 * Keeps the present content of a persistent image as a snapshot. Crash order: intent and record (`importing`) of the copy;
 * the copy, of the image's own layer, which stands on what the image stands on; then the image becomes an empty overlay on
 * it, and the copy's record `active` (`replaceVolume`). A run that dies before that leaves the image as it was, and garbage.
 *
 * @returns the name of the snapshot's volume.
 */
export async function takeSnapshot(request: CopyRequest, environment: Environment): Promise<string> {
  const { image } = request;
  const { volume } = image;
  return withCopy(request, environment, async (targetName, permissions) => {
    const { connection, poolName: pool, signal } = environment;
    const { onProgress } = request;
    await copyVolume({ connection, pool, sourceName: volume.name, targetName, permissions, signal, onProgress });
    const replacement = replacementOf(image, { sourceName: targetName, content: 'overlay' });
    await replaceVolume(replacement, guardOf(image, request.assertIdle), environment);
  });
}

/**
 * Makes a persistent image stand on nothing. Crash order: intent and record (`importing`) of a flat copy; the copy, which
 * libvirt makes; the image becomes a copy of that, and the first copy garbage (`replaceVolume`).
 *
 * @returns the name of the temporary copy's volume, for the deleter.
 */
export async function flattenImage(request: CopyRequest, environment: Environment): Promise<string> {
  const { image } = request;
  const { volume, header } = image;
  return withCopy(request, environment, async (name, permissions) => {
    const { connection, poolName: pool } = environment;
    const description = { name, capacityBytes: header.virtualSizeBytes, allocationBytes: 0n, format: 'qcow2' };
    const xml = volumeXml({ ...description, compat: '1.1', permissions });
    const copy = await createVolumeFrom(connection, pool, xml, { pool, name: volume.name });
    await makeDurable(copy.path);
    await refreshPool(connection, pool);
    environment.signal.throwIfAborted();
    const replacement = replacementOf(image, { sourceName: name, content: 'copy' });
    await replaceVolume(replacement, guardOf(image, request.assertIdle), environment);
  });
}

/** Writes down that there is a copy on its way, and what became of it. */
async function withCopy(
  { image, identity, poolType }: CopyRequest,
  environment: Environment,
  work: (name: string, permissions: Permissions | undefined) => Promise<void>,
): Promise<string> {
  const { journal, paths, program } = environment;
  const volumeName = encodeVolumeName(identity, poolType);
  const known = (await readRecords(paths.records)).records.get(volumeName);
  if (known !== undefined && known.status !== 'deleted')
    throw new FailureError(`volume '${volumeName}' exists already`, { hint: 'wait a second, then run again' });
  const intent = await journal.begin({ kind: 'create', volumeName, identity });
  // While it may be all that there is of the content, it belongs to the image, and nothing else may be done to it.
  const { type } = traitsOf(image.record);
  const traits = { type, isPersistent: false, snapshotOf: image.volume.name };
  const draft = { volumeName, identity, provenance: unknownOrigin(program), tags: {}, traits };
  const record = await putRecord(environment, known, { ...draft, status: 'importing' });
  try {
    await work(volumeName, image.volume.permissions);
  } catch (error) {
    if (await isGivenUp(record, error, environment)) await journal.done(intent);
    throw error;
  }
  await journal.done(intent);
  return volumeName;
}

/**
 * Makes the rest of a failed copy garbage, unless it may already be the only one of the content, or libvirt does not say
 * what there is of it: then the next run finds out.
 */
async function isGivenUp(record: ImageRecord, error: unknown, environment: Environment): Promise<boolean> {
  const { journal, paths } = environment;
  const { volumeName } = record;
  const intents = journal.openIntents().map(({ intent }) => intent);
  if (intents.some((intent) => intent.kind === 'replace' && intent.sourceName === volumeName)) return false;
  const now = (await readRecords(paths.records)).records.get(volumeName);
  if (now?.status !== 'importing') return true;
  const isThere = await findVolume(environment, volumeName).then(
    (volume) => volume !== undefined,
    () => undefined,
  );
  if (isThere === undefined) return false;
  const reason = error instanceof Error ? error.message : String(error);
  const killed = await putRecord(environment, now, { ...now, status: 'killed', reason });
  if (!isThere) await putRecord(environment, killed, { ...killed, status: 'deleted' });
  return true;
}
