import type { FlatItem } from '../core/filter.ts';
import type { Identity } from '../core/identity.ts';
import { isSameDigest } from '../core/partial-image.ts';
import type { ImageRecord, ImageTraits, Provenance } from '../core/record.ts';
import { InUseError, PoolkeeperError } from '../errors.ts';
import { type Content, convertImage } from './convert-image.ts';
import { type Environment, putRecord, type RecordChange } from './environment.ts';
import { offerImage } from './offer-image.ts';
import { removeUnfinished } from './own-volume.ts';
import { receiveImage, type Received, type Reception } from './receive-image.ts';

/** An image that an administrator brings in. */
export interface Import extends Omit<Reception, 'type'> {
  readonly identity: Identity;
  readonly traits: ImageTraits;
  readonly tags: FlatItem;
  /** What is known of an earlier attempt. */
  readonly record: ImageRecord | undefined;
  /** @throws InUseError when something uses a volume. */
  assertUnused(this: void, volumeName: string): Promise<void>;
}

/** How an image came. */
export interface ImportedImage extends Received {
  readonly record: ImageRecord;
}

/**
 * Brings an image into the pool and offers it. Crash order: intent, record (`importing`), volume, bytes, checks, conversion
 * by way of a second volume where one is needed, record (`active`), metadata file, done. Until the last but one nobody is
 * offered the image; the next command that takes the pool's lock marks what was interrupted as garbage, and the second
 * volume, of which there is no record, is garbage anyway.
 *
 * @throws PoolkeeperError; then nothing is left, unless somebody uses it already.
 */
export async function importImage(job: Import, environment: Environment): Promise<ImportedImage> {
  const { identity, volumeName, traits, tags } = job;
  const draft = { volumeName, identity, traits, tags, provenance: originOf(job, environment) };
  const intent = await environment.journal.begin({ kind: 'create', volumeName, identity });
  const importing = await putRecord(environment, job.record, { ...draft, status: 'importing' });
  let brought: Received & { readonly content: Content };
  try {
    brought = await bring(job, environment);
  } catch (error) {
    await giveUp({ job, draft, importing, intent }, error, environment);
    throw error;
  }
  const record = await putRecord(environment, importing, { ...described(draft, brought), status: 'active' });
  await offerImage(record, environment);
  await environment.journal.done(intent);
  return { ...brought, ...brought.content, record };
}

async function bring(job: Import, environment: Environment): Promise<Received & { readonly content: Content }> {
  await makeWay(job, environment);
  const { name, volumeName, traits } = job;
  const received = await receiveImage({ ...job, type: traits.type }, environment);
  if (received.volumeName === volumeName) return { ...received, content: received };
  const content = await convertImage({ name, type: traits.type, received, volumeName }, environment);
  await removeUnfinished(environment, received.volumeName, job.assertUnused);
  return { ...received, content };
}

/** Removes what an earlier attempt left. */
async function makeWay(job: Import, environment: Environment): Promise<void> {
  for (const name of [job.volumeName, job.stagingName]) {
    if (await removeUnfinished(environment, name, job.assertUnused)) continue;
    throw new InUseError(`cannot import image '${job.name}': something uses what an earlier attempt left of it`, {
      hint: `'poolkeeper why ${name}' shows what`,
    });
  }
}

type Draft = Omit<RecordChange, 'status'>;

interface Attempt {
  readonly job: Import;
  readonly draft: Draft;
  readonly importing: ImageRecord;
  readonly intent: number;
}

/** What cannot be tidied up now is left as a crash would leave it, for the next command. */
async function giveUp({ job, draft, importing, intent }: Attempt, error: unknown, environment: Environment) {
  try {
    const gone = [];
    for (const name of [job.volumeName, job.stagingName])
      gone.push(await removeUnfinished(environment, name, job.assertUnused));
    const reason = error instanceof Error ? { reason: error.message } : {};
    const killed = await putRecord(environment, importing, { ...draft, status: 'killed', ...reason });
    if (gone[0] === true) await putRecord(environment, killed, { ...draft, status: 'deleted', ...reason });
    await environment.journal.done(intent);
  } catch (failure) {
    if (!(failure instanceof PoolkeeperError)) throw failure;
  }
}

function originOf({ source }: Import, { program }: Environment): Provenance {
  const nothing = { itemPath: undefined, sizeBytes: undefined, digest: undefined, signer: undefined };
  return { ...nothing, source: source.address, broughtBy: program };
}

/** The checksum of the volume is what it is verified against later; what came is remembered where it is another. */
function described(draft: Draft, { content, arrived, stored }: Received & { readonly content: Content }): Draft {
  const { sizeBytes, digest } = content;
  const delivered = isSameDigest(arrived.digest, digest) ? {} : { deliveredDigest: arrived.digest };
  return {
    ...draft,
    provenance: { ...draft.provenance, sizeBytes, digest, ...delivered },
    tags: { ...draft.tags, x_poolkeeper_format: stored, size: String(sizeBytes), sha256: digest.hex },
  };
}
