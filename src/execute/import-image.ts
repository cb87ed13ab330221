import { isSameDigest } from '../core/partial-image.ts';
import type { ImageRecord } from '../core/record.ts';
import { convertImage } from './convert-image.ts';
import type { Environment } from './environment.ts';
import { type ImageToMake, type MadeImage, makeImage } from './make-image.ts';
import { removeUnfinished } from './own-volume.ts';
import type { Content } from './read-content.ts';
import { receiveImage, type Received, type Reception } from './receive-image.ts';

/** An image that an administrator brings in. */
export interface Import extends Omit<ImageToMake, 'source' | 'stagingNames'>, Omit<Reception, 'type'> {}

/** How an image came. */
export interface ImportedImage extends Received {
  readonly record: ImageRecord;
}

/**
 * Brings an image into the pool and offers it, by way of a second volume where it has to be converted.
 *
 * @throws PoolkeeperError; then nothing is left, unless somebody uses it already.
 */
export async function importImage(job: Import, environment: Environment): Promise<ImportedImage> {
  let received: Received | undefined;
  const target = { ...job, source: job.source.address, stagingNames: [job.stagingName] };
  const record = await makeImage(target, environment, async () => {
    received = await receiveImage({ ...job, type: job.traits.type }, environment);
    return described(received, await keep(received, job, environment));
  });
  if (received === undefined) throw new Error('an image was made that never came');
  return { ...received, record };
}

/** Converts it if need be. @returns what lies in the volume for good. */
async function keep(received: Received, job: Import, environment: Environment): Promise<Content> {
  const { name, volumeName, traits } = job;
  if (received.volumeName === volumeName) return received;
  const content = await convertImage({ name, type: traits.type, received, volumeName }, environment);
  await removeUnfinished(environment, received.volumeName, (staged) => job.assertUnused(staged, true));
  return content;
}

/** The checksum of the volume is what it is verified against later; what came is remembered where it is another. */
function described({ arrived, stored }: Received, { sizeBytes, digest }: Content): MadeImage {
  const delivered = isSameDigest(arrived.digest, digest) ? {} : { deliveredDigest: arrived.digest };
  return {
    provenance: { sizeBytes, digest, ...delivered },
    tags: { x_poolkeeper_format: stored, size: String(sizeBytes), sha256: digest.hex },
  };
}
