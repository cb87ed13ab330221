import { identityText } from '../core/identity.ts';
import { track } from '../core/track.ts';
import type { ImageRecord } from '../core/record.ts';
import { saysNoVolume } from '../core/sync-plan.ts';
import type { WantedImage } from '../core/selection.ts';
import { InUseError, IntegrityError, TrustError } from '../errors.ts';
import { contentStamp, isBeingWritten } from '../gather/volume-file.ts';
import { checkDownloadedHeader } from '../image-format/download-check.ts';
import { lookupVolume } from '../libvirt/volume.ts';
import { type Environment, putRecord, unknownOrigin } from './environment.ts';
import { makeVolumeDurable } from './make-durable.ts';
import { offerImage } from './offer-image.ts';
import { readContent } from './read-content.ts';

export interface Adoption {
  readonly image: WantedImage;
  readonly volumeName: string;
  readonly source: string;
  readonly record: ImageRecord | undefined;
}

/**
 * Takes over a volume of which nothing is known but its name, if its content is exactly what the source describes, and as
 * harmless as that of a download has to be. The verdict holds for the content that was read: what is being written is not
 * looked at, and what is written later is looked at anew.
 *
 * @throws IntegrityError, TrustError when it is not; the record then says so, and the volume is not offered. InUseError when
 * somebody is writing it; nothing is said of it then.
 */
export async function adoptImage(adoption: Adoption, environment: Environment): Promise<void> {
  const { image, volumeName, source, record } = adoption;
  const { identity, tags, path, sizeBytes, digest, signer } = image;
  const { connection, poolName } = environment;
  const draft = { volumeName, identity, tags, provenance: unknownOrigin('unknown') };
  const isFound = record === undefined || saysNoVolume(record);
  const before = await lookupVolume(connection, poolName, volumeName);
  if (isBeingWritten(before)) throw beingWritten(volumeName);
  const known = isFound ? await putRecord(environment, record, { ...draft, status: 'importing' }) : record;
  try {
    await checkContent(image, volumeName, environment);
    await makeVolumeDurable(environment, volumeName);
  } catch (error) {
    if (!(error instanceof IntegrityError) && !(error instanceof TrustError)) throw error;
    const after = await lookupVolume(connection, poolName, volumeName);
    const judged = contentStamp(after);
    if (judged !== contentStamp(before) || isBeingWritten(after)) throw beingWritten(volumeName);
    // What was held already, of unknown origin, can only wait to be deleted.
    const status = isFound || record.status === 'killed' ? 'killed' : 'pending_delete';
    await putRecord(environment, known, { ...draft, status, reason: error.message, judged });
    throw error;
  }
  const after = await lookupVolume(connection, poolName, volumeName);
  if (contentStamp(after) !== contentStamp(before) || isBeingWritten(after)) throw beingWritten(volumeName);
  const provenance = { source, itemPath: path, sizeBytes, digest, signer, broughtBy: 'adopted' };
  await putRecord(environment, known, { ...draft, status: 'active', provenance });
  await offerImage(image, environment);
}

function beingWritten(volumeName: string): InUseError {
  return new InUseError(`cannot check volume '${volumeName}': somebody is writing to it`, {
    hint: 'it is kept; run again once it is complete',
  });
}

async function checkContent(image: WantedImage, volumeName: string, environment: Environment): Promise<void> {
  const { identity, sizeBytes, digest } = image;
  const { algorithm } = digest;
  const work = { label: `check ${identityText(identity)}`, totalBytes: sizeBytes };
  const content = await track(environment.progress, work, ({ reach }) => {
    const reading = { ...environment, algorithm, mostBytes: sizeBytes, onBytes: reach };
    return readContent(environment.poolName, volumeName, reading);
  });
  const hex = content.sizeBytes === sizeBytes ? content.digest.hex : '';
  if (hex !== digest.hex) {
    throw new IntegrityError(`the content of volume '${volumeName}' is not what the source describes`, {
      expected: digest.hex,
      found: hex,
      hint: 'it stays until nothing needs it; then it is deleted and fetched anew',
    });
  }
  checkDownloadedHeader(content.head, { name: identityText(identity), sizeBytes });
}
