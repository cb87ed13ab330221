import type { FlatItem } from '../core/filter.ts';
import type { Identity } from '../core/identity.ts';
import type { ImageRecord, ImageTraits, Provenance } from '../core/record.ts';
import { InUseError, PoolkeeperError } from '../errors.ts';
import { type Environment, putRecord, type RecordChange, unknownOrigin } from './environment.ts';
import { makeVolumeDurable } from './make-durable.ts';
import { offerImage } from './offer-image.ts';
import { removeUnfinished } from './own-volume.ts';

/** An image that is to be made in the pool. */
export interface ImageToMake {
  /** For messages. */
  readonly name: string;
  readonly identity: Identity;
  readonly volumeName: string;
  /** Other volumes that are made on the way. */
  readonly stagingNames: readonly string[];
  readonly traits: ImageTraits;
  readonly tags: FlatItem;
  /** Where it comes from, in words or as an address. */
  readonly source: string | undefined;
  /** What is known of an earlier attempt. */
  readonly record: ImageRecord | undefined;
  /** @throws InUseError when something uses a volume. */
  assertUnused(this: void, volumeName: string, isOfThisRun: boolean): Promise<void>;
}

/** What is known of an image once it is there. */
export interface MadeImage {
  readonly provenance: Pick<Provenance, 'sizeBytes' | 'digest' | 'deliveredDigest'>;
  readonly tags: FlatItem;
}

/**
 * Makes an image and offers it. Crash order: intent, record (`importing`), the volume and all that is in it, made durable,
 * record (`active`), metadata file, done. Until the last but one nobody is offered the image; the next command that takes the
 * pool's lock marks what was interrupted as garbage. Other volumes on the way have no record and so are garbage anyway.
 *
 * @throws InUseError when something uses what an earlier attempt left; what `fill` throws. Then nothing is left, unless
 * somebody uses it already.
 */
export async function makeImage(
  job: ImageToMake,
  environment: Environment,
  fill: () => Promise<MadeImage>,
): Promise<ImageRecord> {
  const { identity, volumeName, traits, tags } = job;
  const draft = { volumeName, identity, traits, tags, provenance: originOf(job, environment) };
  const intent = await environment.journal.begin({ kind: 'create', volumeName, identity });
  const importing = await putRecord(environment, job.record, { ...draft, status: 'importing' });
  let made: MadeImage;
  try {
    await makeWay(job, environment);
    made = await fill();
    await makeVolumeDurable(environment, volumeName);
  } catch (error) {
    await giveUp({ job, draft, importing, intent }, error, environment);
    throw error;
  }
  const provenance = { ...draft.provenance, ...made.provenance };
  const complete = { ...draft, provenance, tags: { ...tags, ...made.tags } };
  const record = await putRecord(environment, importing, { ...complete, status: 'active' });
  await offerImage(record, environment);
  await environment.journal.done(intent);
  return record;
}

function originOf({ source }: ImageToMake, { program }: Environment): Provenance {
  return { ...unknownOrigin(program), source };
}

/** Removes what an earlier attempt left. */
async function makeWay(job: ImageToMake, environment: Environment): Promise<void> {
  for (const name of [job.volumeName, ...job.stagingNames]) {
    if (await removeUnfinished(environment, name, () => job.assertUnused(name, false))) continue;
    throw new InUseError(`cannot make image '${job.name}': something uses what an earlier attempt left of it`, {
      hint: `'poolkeeper why ${name}' shows what`,
    });
  }
}

interface Attempt {
  readonly job: ImageToMake;
  readonly draft: Omit<RecordChange, 'status'>;
  readonly importing: ImageRecord;
  readonly intent: number;
}

/** What cannot be tidied up now is left as a crash would leave it, for the next command. */
async function giveUp({ job, draft, importing, intent }: Attempt, error: unknown, environment: Environment) {
  try {
    const assertUnused = (name: string) => job.assertUnused(name, true);
    const isGone = await removeUnfinished(environment, job.volumeName, assertUnused);
    for (const name of job.stagingNames) await removeUnfinished(environment, name, assertUnused);
    const reason = error instanceof Error ? { reason: error.message } : {};
    const killed = await putRecord(environment, importing, { ...draft, status: 'killed', ...reason });
    if (isGone) await putRecord(environment, killed, { ...draft, status: 'deleted', ...reason });
    await environment.journal.done(intent);
  } catch (failure) {
    if (!(failure instanceof PoolkeeperError)) throw failure;
  }
}
