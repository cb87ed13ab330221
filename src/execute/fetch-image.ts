import type { ImageSink } from '../core/ports.ts';
import type { ImageRecord } from '../core/record.ts';
import type { WantedImage } from '../core/selection.ts';
import { IntegrityError, TrustError } from '../errors.ts';
import { checkDownloadedHeader, DOWNLOAD_HEAD_BYTES } from '../image-format/download-check.ts';
import { deleteVolume, createVolume, volumeXml } from '../libvirt/volume.ts';
import { isNoStorageVolume } from '../libvirt/error-codes.ts';
import { openUpload } from '../libvirt/stream.ts';
import { transferImage } from '../transfer/image-transfer.ts';
import { type Environment, putRecord } from './environment.ts';
import { offerImage } from './offer-image.ts';

/** One image to bring into the pool. */
export interface Fetch {
  readonly image: WantedImage;
  readonly volumeName: string;
  /** The address of the item, then of its mirrors. */
  readonly urls: readonly URL[];
  /** The base of the source without credentials. */
  readonly source: string;
  readonly record: ImageRecord | undefined;
  readonly onProgress?: (bytes: bigint) => void;
}

/**
 * Brings one image into the pool and offers it. Crash order: intent, record (`saving`), volume, bytes, record (`active`),
 * metadata file, done. Until the last but one nobody is offered the image; a volume without an `active` record is taken
 * for unfinished by the next run.
 *
 * @throws SourceError, IntegrityError, TrustError, LibvirtError, NoSpaceError; then neither volume nor metadata is left.
 */
export async function fetchImage(fetch: Fetch, environment: Environment): Promise<void> {
  const { image, volumeName, record } = fetch;
  const { identity, sizeBytes, digest, tags } = image;
  const url = `${fetch.source}${image.path}`;
  const intent = await environment.journal.begin({ kind: 'fetch', volumeName, identity, url, sizeBytes, digest });
  const draft = { volumeName, identity, provenance: provenanceOf(fetch, environment), tags };
  await putRecord(environment, record, { ...draft, status: 'saving' });
  const upload = createUpload(fetch, environment);
  try {
    await transferImage(transferOf(fetch, upload.open), environment);
  } catch (error) {
    if (upload.hasVolume()) await removePartialVolume(volumeName, environment);
    await putRecord(environment, record, { ...draft, ...statusAfter(error) });
    await environment.journal.done(intent);
    throw error;
  }
  await putRecord(environment, record, { ...draft, status: 'active' });
  await offerImage(image, environment);
  await environment.journal.done(intent);
}

function transferOf({ image, urls, onProgress }: Fetch, openSink: (head: Uint8Array) => Promise<ImageSink>) {
  const { sizeBytes, digest } = image;
  const job = { urls, sizeBytes, digest, headBytes: DOWNLOAD_HEAD_BYTES, openSink };
  return onProgress === undefined ? job : { ...job, onProgress };
}

function provenanceOf({ image, source }: Fetch, { program }: Environment): ImageRecord['provenance'] {
  const { path, sizeBytes, digest, signer } = image;
  return { source, itemPath: path, sizeBytes, digest, signer, broughtBy: program };
}

/** What is wrong with the image itself is remembered; anything else is worth another try. */
function statusAfter(error: unknown): { status: 'killed'; reason: string } | { status: 'queued' } {
  const isVerdict = error instanceof IntegrityError || error instanceof TrustError;
  return isVerdict ? { status: 'killed', reason: error.message } : { status: 'queued' };
}

/**
 * Opens the volume once the header is found harmless. It is created raw and exactly as long as the image, so that libvirt
 * writes no header of its own and nothing is left behind the image's last byte; libvirt tells the format by content.
 */
function createUpload({ image, volumeName }: Fetch, { connection, poolName }: Environment) {
  let exists = false;
  return {
    hasVolume: () => exists,
    open: async (head: Uint8Array): Promise<ImageSink> => {
      const { sizeBytes, identity } = image;
      checkDownloadedHeader(head, { name: `${identity.product} ${identity.version}`, sizeBytes });
      if (!exists) {
        const xml = volumeXml({ name: volumeName, capacityBytes: sizeBytes, allocationBytes: 0n, format: 'raw' });
        await createVolume(connection, poolName, xml);
        exists = true;
      }
      return openUpload(connection, poolName, volumeName, { offset: 0n, length: sizeBytes });
    },
  };
}

/** Removes a volume that this very call created and nobody was ever told of. */
async function removePartialVolume(volumeName: string, { connection, poolName }: Environment): Promise<void> {
  try {
    await deleteVolume(connection, poolName, volumeName);
  } catch (error) {
    if (!isNoStorageVolume(error)) throw error;
  }
}
