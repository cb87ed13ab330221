import { identityText } from '../core/identity.ts';
import { track } from '../core/track.ts';
import type { ImageRecord } from '../core/record.ts';
import { saysNoVolume } from '../core/sync-plan.ts';
import type { WantedImage } from '../core/selection.ts';
import { IntegrityError, TrustError } from '../errors.ts';
import { checkDownloadedHeader } from '../image-format/download-check.ts';
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
 * harmless as that of a download has to be.
 *
 * @throws IntegrityError, TrustError when it is not; the record then says so, and the volume is not offered.
 */
export async function adoptImage(adoption: Adoption, environment: Environment): Promise<void> {
  const { image, volumeName, source, record } = adoption;
  const { identity, tags, path, sizeBytes, digest, signer } = image;
  const draft = { volumeName, identity, tags, provenance: unknownOrigin('unknown') };
  const isFound = record === undefined || saysNoVolume(record);
  const known = isFound ? await putRecord(environment, record, { ...draft, status: 'importing' }) : record;
  try {
    await checkContent(image, volumeName, environment);
    await makeVolumeDurable(environment, volumeName);
  } catch (error) {
    if (!(error instanceof IntegrityError) && !(error instanceof TrustError)) throw error;
    // What was held already, of unknown origin, can only wait to be deleted.
    const status = isFound ? 'killed' : 'pending_delete';
    await putRecord(environment, known, { ...draft, status, reason: error.message });
    throw error;
  }
  const provenance = { source, itemPath: path, sizeBytes, digest, signer, broughtBy: 'adopted' };
  await putRecord(environment, known, { ...draft, status: 'active', provenance });
  await offerImage(image, environment);
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
