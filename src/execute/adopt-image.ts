import { createHash } from 'node:crypto';
import { identityText } from '../core/identity.ts';
import type { ProgressTask } from '../core/ports.ts';
import { track } from '../core/track.ts';
import type { ImageRecord } from '../core/record.ts';
import { saysNoVolume } from '../core/sync-plan.ts';
import type { WantedImage } from '../core/selection.ts';
import { IntegrityError, TrustError } from '../errors.ts';
import { checkDownloadedHeader, DOWNLOAD_HEAD_BYTES } from '../image-format/download-check.ts';
import { downloadVolume } from '../libvirt/stream.ts';
import { type Environment, putRecord, unknownOrigin } from './environment.ts';
import { makeVolumeDurable } from './make-durable.ts';
import { offerImage } from './offer-image.ts';

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
  const work = { label: `check ${identityText(identity)}`, totalBytes: sizeBytes };
  const read = (task: ProgressTask) => readContent({ volumeName, task }, image, environment);
  const { hex, head } = await track(environment.progress, work, read);
  if (hex !== digest.hex) {
    throw new IntegrityError(`the content of volume '${volumeName}' is not what the source describes`, {
      expected: digest.hex,
      found: hex,
      hint: 'it stays until nothing needs it; then it is deleted and fetched anew',
    });
  }
  checkDownloadedHeader(head, { name: identityText(identity), sizeBytes });
}

/** The first bytes of a volume and the digest of all; it is the empty string as soon as there are more than there should be. */
async function readContent(
  { volumeName, task }: { readonly volumeName: string; readonly task: ProgressTask },
  { digest, sizeBytes }: WantedImage,
  { connection, poolName, signal }: Environment,
): Promise<{ readonly hex: string; readonly head: Uint8Array }> {
  const hash = createHash(digest.algorithm);
  let [bytes, head] = [0n, Buffer.alloc(0)];
  for await (const chunk of downloadVolume(connection, poolName, volumeName)) {
    signal.throwIfAborted();
    bytes += BigInt(chunk.length);
    task.reach(bytes);
    if (bytes > sizeBytes) break;
    if (head.length < DOWNLOAD_HEAD_BYTES) head = Buffer.concat([head, chunk]);
    hash.update(chunk);
  }
  return { hex: bytes === sizeBytes ? hash.digest('hex') : '', head };
}
