import { identityText } from '../core/identity.ts';
import { inParallel } from '../core/in-parallel.ts';
import { isLocalImage } from '../core/local-image.ts';
import type { ImageRecord } from '../core/record.ts';
import { saysNoVolume, type SyncStep } from '../core/sync-plan.ts';
import type { WantedImage } from '../core/selection.ts';
import { IntegrityError, NoSpaceError, PoolkeeperError } from '../errors.ts';
import { isNoStorageVolume } from '../libvirt/error-codes.ts';
import { lookupVolume } from '../libvirt/volume.ts';
import { removeMetadataFile } from '../state/metadata-files.ts';
import { adoptImage } from './adopt-image.ts';
import { type Environment, putRecord, unknownOrigin } from './environment.ts';
import { fetchImage } from './fetch-image.ts';
import { offerImage } from './offer-image.ts';
import type { TransferredImage } from '../transfer/image-transfer.ts';
import { withdrawImage } from './withdraw-image.ts';

/** What the steps of one sync share. */
export interface SyncRun {
  readonly environment: Environment;
  /** The base of the source without credentials. */
  readonly source: string;
  readonly records: ReadonlyMap<string, ImageRecord>;
  /** How many images are fetched at the same time. */
  readonly jobs: number;
  /** Tries after the first one, for what may pass. */
  readonly retries: number;
  /** Ask proxies for fresh copies: for a second try after a wrong digest. */
  readonly bypassCaches: boolean;
  urlsOf(image: WantedImage): readonly URL[];
  /** @throws InUseError when something uses the volume that an interrupted run left. */
  assertUnused(volumeName: string, isOfThisRun: boolean): Promise<void>;
  onStart(step: SyncStep): void;
  onEnd(outcome: StepOutcome): void;
}

export interface StepOutcome {
  readonly step: SyncStep;
  readonly error: PoolkeeperError | undefined;
  /** How the image came, if this step brought one. */
  readonly transferred: TransferredImage | undefined;
}

/**
 * Carries out a sync. Images arrive several at a time and independently of each other; a version is retired only once the
 * one that replaces it has arrived.
 *
 * @throws the reason of the signal when the run is stopped; anything that is not a PoolkeeperError.
 */
export async function executeSync(steps: readonly SyncStep[], run: SyncRun): Promise<readonly StepOutcome[]> {
  const outcomes: StepOutcome[] = [];
  const perform = async (step: SyncStep): Promise<void> => {
    run.environment.signal.throwIfAborted();
    run.onStart(step);
    const outcome = await attemptStep(step, run);
    outcomes.push(outcome);
    run.onEnd(outcome);
  };
  for (const step of steps.filter(isBookkeeping)) await perform(step);
  await inParallel(steps.filter(isArrival), run.jobs, perform);
  const isMissing = ({ step, error }: StepOutcome): boolean => step.action === 'skip' || error !== undefined;
  const missing = new Set(outcomes.filter(isMissing).map(({ step }) => step.volumeName));
  for (const step of steps) if (step.action === 'retire' && !missing.has(step.replacedBy)) await perform(step);
  for (const step of steps) if (step.action === 'discard') await perform(step);
  return outcomes;
}

async function attemptStep(step: SyncStep, run: SyncRun): Promise<StepOutcome> {
  try {
    const transferred = (await executeStep(step, run)) ?? undefined;
    return { step, error: undefined, transferred };
  } catch (error) {
    run.environment.signal.throwIfAborted();
    if (error instanceof PoolkeeperError) return { step, error, transferred: undefined };
    throw error;
  }
}

function executeStep(step: SyncStep, run: SyncRun): Promise<TransferredImage | void> {
  switch (step.action) {
    case 'forget':
      return forget(step, run);
    case 'enlist':
      return enlist(step, run);
    case 'offer':
      return offer(step, run);
    case 'adopt':
      return adopt(step, run);
    case 'fetch':
      return fetch(step, run);
    case 'retire':
      return retire(step, run);
    case 'discard':
      return discard(step, run);
    case 'skip':
      return skip(step);
  }
}

type Step<A extends SyncStep['action']> = Extract<SyncStep, { readonly action: A }>;

/** Only libvirt's own word for "no such volume" removes metadata; the inventory may be old by now. */
async function forget({ identity, volumeName }: Step<'forget'>, { environment }: SyncRun): Promise<void> {
  const { connection, poolName, paths } = environment;
  const isAbsent = await lookupVolume(connection, poolName, volumeName).then(() => false, throwUnlessAbsent);
  if (isAbsent) await removeMetadataFile(paths.metadata, identity);
}

function throwUnlessAbsent(error: unknown): true {
  if (isNoStorageVolume(error)) return true;
  throw error;
}

async function enlist(
  { identity, item, volumeName }: Step<'enlist'>,
  { environment, records }: SyncRun,
): Promise<void> {
  const provenance = unknownOrigin(isLocalImage(identity) ? 'unknown' : 'uvtool');
  await putRecord(environment, records.get(volumeName), {
    volumeName,
    identity,
    status: 'active',
    provenance,
    tags: item,
  });
}

/** What is in the pool, yet not according to its record, was brought by uvtool: its metadata says so. */
async function offer({ image, volumeName }: Step<'offer'>, { environment, records }: SyncRun): Promise<void> {
  const { identity, tags } = image;
  const known = records.get(volumeName);
  const provenance = known === undefined || saysNoVolume(known) ? unknownOrigin('uvtool') : known.provenance;
  await putRecord(environment, known, { volumeName, identity, status: 'active', provenance, tags });
  await offerImage(image, environment);
}

async function adopt({ image, volumeName }: Step<'adopt'>, { environment, records, source }: SyncRun): Promise<void> {
  await adoptImage({ image, volumeName, source, record: records.get(volumeName) }, environment);
}

async function fetch(step: Step<'fetch'>, run: SyncRun): Promise<TransferredImage> {
  const { image, volumeName, partial } = step;
  const { source, retries, bypassCaches, environment } = run;
  if (partial !== undefined) await run.assertUnused(volumeName, false);
  const assertUnused = () => run.assertUnused(volumeName, true);
  const record = run.records.get(volumeName);
  const urls = run.urlsOf(image);
  return fetchImage(
    { image, volumeName, source, record, partial, urls, retries, bypassCaches, assertUnused },
    environment,
  );
}

async function retire(
  { identity, volumeName, retained, item }: Step<'retire'>,
  { environment, records }: SyncRun,
): Promise<void> {
  await withdrawImage(
    { identity, volumeName, record: records.get(volumeName), item, keptAs: retained ? 'active' : undefined },
    environment,
  );
}

/** The journal's intent stays open as long as there is a volume: if the image is wanted again, it is continued. */
async function discard(
  { identity, volumeName, hasVolume }: Step<'discard'>,
  { environment, records }: SyncRun,
): Promise<void> {
  const record = records.get(volumeName);
  if (record === undefined) return;
  const { provenance, tags } = record;
  const reason = 'it was replaced at its source before it had arrived';
  const draft = { volumeName, identity, provenance, tags };
  const given =
    record.status === 'saving' ? await putRecord(environment, record, { ...draft, status: 'killed', reason }) : record;
  if (!hasVolume) await putRecord(environment, given, { ...draft, status: 'deleted', reason });
}

async function skip(step: Step<'skip'>): Promise<void> {
  if (step.isIntended !== true) throw skipped(step);
}

function skipped({ image, reason, lacksRoom }: Step<'skip'>): PoolkeeperError {
  if (lacksRoom !== true) return new IntegrityError(`cannot offer image '${image.identity.product}': ${reason}`);
  return new NoSpaceError(`cannot fetch image '${identityText(image.identity)}': ${reason}`, {
    hint: 'free some space where the storage pool is, or lower --reserve',
  });
}

function isBookkeeping({ action }: SyncStep): boolean {
  return action === 'forget' || action === 'enlist';
}

function isArrival({ action }: SyncStep): boolean {
  return action === 'offer' || action === 'adopt' || action === 'fetch' || action === 'skip';
}
