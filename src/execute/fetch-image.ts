import { isSameDigest, type PartialImage } from '../core/partial-image.ts';
import { identityText } from '../core/identity.ts';
import type { ImageRecord } from '../core/record.ts';
import type { WantedImage } from '../core/selection.ts';
import { InUseError, IntegrityError, NoSpaceError, TrustError } from '../errors.ts';
import { DOWNLOAD_HEAD_BYTES } from '../image-format/download-check.ts';
import { isConnectionLost } from '../libvirt/error-codes.ts';
import { removeMetadataFile } from '../state/metadata-files.ts';
import { type ImageTransfer, transferImage, type TransferredImage } from '../transfer/image-transfer.ts';
import { backoffMs, defaultPatience } from '../transfer/retry.ts';
import { ArrivingVolume } from './arriving-volume.ts';
import { type Environment, putRecord } from './environment.ts';
import { offerImage } from './offer-image.ts';
import { runWatchedTask } from './watched-task.ts';

/** One image to bring into the pool. */
export interface Fetch {
  readonly image: WantedImage;
  readonly volumeName: string;
  /** The address of the item, then of its mirrors. */
  readonly urls: readonly URL[];
  /** The base of the source without credentials. */
  readonly source: string;
  readonly record: ImageRecord | undefined;
  /** What an earlier run left of it. Nothing may use that volume. */
  readonly partial: PartialImage | undefined;
  /** Tries after the first one, for what may pass. */
  readonly retries: number;
  /** Ask proxies for a fresh copy. */
  readonly bypassCaches: boolean;
  /** @throws InUseError when something uses what has arrived. */
  assertUnused(): Promise<void>;
}

/**
 * Brings one image into the pool and offers it, going on where an earlier run stopped. Crash order: intent, record
 * (`saving`), volume, bytes with notes of how far they are durable, record (`active`), metadata file, done. Until the last
 * but one nobody is offered the image; a volume whose record is `saving` is continued by the next run.
 *
 * @throws IntegrityError, TrustError, NoSpaceError; then neither volume nor metadata is left, unless somebody uses the
 * volume already.
 * @throws SourceError, LibvirtError, InterruptedError; then what has arrived stays for the next run.
 */
export async function fetchImage(fetch: Fetch, environment: Environment): Promise<TransferredImage> {
  const { image, volumeName, record, partial } = fetch;
  const { identity, tags } = image;
  const intentId = await openIntent(fetch, environment);
  const draft = { volumeName, identity, provenance: provenanceOf(fetch, environment), tags };
  const saving = await putRecord(environment, record, { ...draft, status: 'saving' });
  // uvtool offers any volume that has the right name, and so might have found what an earlier run left.
  await removeMetadataFile(environment.paths.metadata, identity);
  const volume = new ArrivingVolume({ image, volumeName, partial, intentId }, environment);
  let transferred: TransferredImage;
  try {
    transferred = await runFetch(fetch, volume, environment);
  } catch (error) {
    const status = statusAfter(error, volume);
    if (status !== 'saving' && volume.mayExist) await removeUnused(volume, fetch);
    const reason = error instanceof Error ? { reason: error.message } : {};
    await putRecord(environment, saving, { ...draft, status, ...reason });
    if (status !== 'saving') await environment.journal.done(intentId);
    throw error;
  }
  await putRecord(environment, saving, { ...draft, status: 'active' });
  await offerImage(image, environment);
  await environment.journal.done(intentId);
  return transferred;
}

/** The transfer, with a record of it for those who watch. */
function runFetch(fetch: Fetch, volume: ArrivingVolume, environment: Environment): Promise<TransferredImage> {
  const { volumeName, image } = fetch;
  const { identity, sizeBytes: totalBytes } = image;
  const task = { kind: 'fetch', volumeName, identity, totalBytes } as const;
  return runWatchedTask(environment, identityText(identity), task, (onProgress) =>
    transferPatiently(fetch, { volume, onProgress }, environment),
  );
}

/** A volume on its way is visible to everybody. Once somebody uses it, it is left to the sweep. */
async function removeUnused(volume: ArrivingVolume, fetch: Fetch): Promise<void> {
  try {
    await fetch.assertUnused();
  } catch (error) {
    if (error instanceof InUseError) return;
    throw error;
  }
  await volume.remove();
}

/** Goes on after libvirtd was restarted; failures of the network have been borne already. */
async function transferPatiently(
  fetch: Fetch,
  { volume, onProgress }: { readonly volume: ArrivingVolume; readonly onProgress: (bytes: bigint) => void },
  environment: Environment,
): Promise<TransferredImage> {
  const { retries, sleep, random } = defaultPatience(fetch);
  for (let attempt = 0; ; attempt += 1) {
    try {
      const transfer = { ...transferOf(fetch, volume), onProgress };
      return await transferImage(transfer, { ...environment, retries });
    } catch (error) {
      if (!isConnectionLost(error) || attempt >= retries) throw error;
      await sleep(backoffMs(attempt, random), environment.signal);
    }
  }
}

/** Goes on with the intent that is open for the same content; it holds the notes of how far the image is. */
async function openIntent({ image, volumeName, source, partial }: Fetch, { journal }: Environment): Promise<number> {
  const { identity, sizeBytes, digest, path } = image;
  const known = partial?.intentId;
  if (known !== undefined && partial !== undefined && isSameDigest(partial.digest, digest)) return known;
  const intent = await journal.begin({
    kind: 'fetch',
    volumeName,
    identity,
    url: `${source}${path}`,
    sizeBytes,
    digest,
  });
  if (known !== undefined) await journal.done(known);
  return intent;
}

function transferOf(fetch: Fetch, volume: ArrivingVolume): ImageTransfer {
  const { sizeBytes, digest } = fetch.image;
  return {
    urls: fetch.urls,
    sizeBytes,
    digest,
    headBytes: DOWNLOAD_HEAD_BYTES,
    bypassCaches: fetch.bypassCaches,
    held: () => volume.held(),
    openSink: (head, start) => volume.open(head, start),
  };
}

function provenanceOf({ image, source }: Fetch, { program }: Environment): ImageRecord['provenance'] {
  const { path, sizeBytes, digest, signer } = image;
  return { source, itemPath: path, sizeBytes, digest, signer, broughtBy: program };
}

/** What is wrong with the image itself is remembered, and room is made; whatever else happened may pass. */
function statusAfter(error: unknown, volume: ArrivingVolume): 'killed' | 'queued' | 'saving' {
  if (error instanceof IntegrityError || error instanceof TrustError) return 'killed';
  return error instanceof NoSpaceError || !volume.mayExist ? 'queued' : 'saving';
}
