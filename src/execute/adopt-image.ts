import { createHash } from 'node:crypto';
import type { ImageRecord } from '../core/record.ts';
import { saysNoVolume } from '../core/sync-plan.ts';
import type { WantedImage } from '../core/selection.ts';
import { IntegrityError } from '../errors.ts';
import { downloadVolume } from '../libvirt/stream.ts';
import { type Environment, putRecord, unknownOrigin } from './environment.ts';
import { offerImage } from './offer-image.ts';

export interface Adoption {
  readonly image: WantedImage;
  readonly volumeName: string;
  readonly source: string;
  readonly record: ImageRecord | undefined;
}

/**
 * Takes over a volume of which nothing is known but its name, if its content is exactly what the source describes.
 *
 * @throws IntegrityError when it is not; the record then says so, and the volume is not offered.
 */
export async function adoptImage(adoption: Adoption, environment: Environment): Promise<void> {
  const { image, volumeName, source, record } = adoption;
  const { identity, tags, path, sizeBytes, digest, signer } = image;
  const draft = { volumeName, identity, tags, provenance: unknownOrigin('unknown') };
  const isFound = record === undefined || saysNoVolume(record);
  const known = isFound ? await putRecord(environment, record, { ...draft, status: 'importing' }) : record;
  const found = await digestOfVolume(volumeName, image, environment);
  if (found !== digest.hex) {
    const reason = `the content of volume '${volumeName}' is not what the source describes`;
    // What was held already, of unknown origin, can only wait to be deleted.
    await putRecord(environment, known, { ...draft, status: isFound ? 'killed' : 'pending_delete', reason });
    throw new IntegrityError(reason, {
      expected: digest.hex,
      found,
      hint: 'it stays until nothing needs it; then it is deleted and fetched anew',
    });
  }
  const provenance = { source, itemPath: path, sizeBytes, digest, signer, broughtBy: 'adopted' };
  await putRecord(environment, known, { ...draft, status: 'active', provenance });
  await offerImage(image, environment);
}

/** The digest of a volume's bytes; the empty string as soon as there are more than there should be. */
async function digestOfVolume(volumeName: string, image: WantedImage, environment: Environment): Promise<string> {
  const hash = createHash(image.digest.algorithm);
  let bytes = 0n;
  for await (const chunk of downloadVolume(environment.connection, environment.poolName, volumeName)) {
    environment.signal.throwIfAborted();
    bytes += BigInt(chunk.length);
    if (bytes > image.sizeBytes) return '';
    hash.update(chunk);
  }
  return bytes === image.sizeBytes ? hash.digest('hex') : '';
}
