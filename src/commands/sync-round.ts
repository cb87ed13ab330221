import type { OpenIntent } from '../core/journal.ts';
import { identityText } from '../core/identity.ts';
import type { PartialImage } from '../core/partial-image.ts';
import { type Room, planRoom } from '../core/space-plan.ts';
import { planSync, type SyncStep } from '../core/sync-plan.ts';
import { IntegrityError, PoolkeeperError, SourceError } from '../errors.ts';
import { findVolume } from '../execute/own-volume.ts';
import { executeSync, type StepOutcome, type SyncRun } from '../execute/sync-steps.ts';
import { gatherPoolView, type PoolView, volumeNameIn } from '../gather/pool-view.ts';
import { poolSpace } from '../libvirt/storage-pool.ts';
import { listVolumeNames, type NamedVolume } from '../libvirt/volume.ts';
import { type Delivery, showDone, showStart } from '../report/sync-report.ts';
import type { Reporter } from '../report/reporter.ts';
import { resolveItemUrl } from '../simplestreams/source.ts';
import { publicAddress } from '../transfer/address.ts';
import type { TransferredImage } from '../transfer/image-transfer.ts';
import type { ReadSource } from './source-reader.ts';
import { foreignMetadata, showForeignMetadata } from './foreign-metadata.ts';
import { assertUnusedIn, partialImages } from './repair-state.ts';
import type { LockedSession, Session } from './session.ts';
import type { TransferPolicy } from './transfer-options.ts';

/** How a round of a sync is to go. */
export interface RoundPolicy {
  readonly keepVersions: number;
  readonly jobs: number;
  readonly transfer: TransferPolicy;
}

/** What one look at a source led to. */
export interface Round {
  readonly source: ReadSource;
  readonly outcomes: readonly StepOutcome[];
}

/** What a round is to do, and the view it rests on. */
export interface RoundPlan {
  readonly steps: readonly SyncStep[];
  readonly view: PoolView;
}

/** What a round sees of the pool. */
export interface RoundSight {
  readonly volumes: readonly NamedVolume[];
  readonly openIntents: readonly OpenIntent[];
}

/** Decides what is to be done about what a source offers. */
export async function planRound(
  session: Session,
  { selection, chosen }: ReadSource,
  { keepVersions, transfer }: RoundPolicy,
  { volumes, openIntents }: RoundSight,
): Promise<RoundPlan> {
  const { pool, paths } = session;
  const view = await gatherPoolView(pool, volumes, paths);
  const found = await partialImages(session, view, openIntents);
  const steps = planSync({
    ...view,
    rewritten: await rewrittenVolumes(session, view),
    wanted: selection.wanted,
    volumes: new Map([...view.managed].map(([name, { identity }]) => [name, identity])),
    volumeName: volumeNameIn(pool),
    partials: transfer.resumes ? found : fromFirstByte(found),
    keepVersions: chosen.keepVersions ?? keepVersions,
  });
  const own = await withoutForeign(session, view, steps);
  return { steps: planRoom(own, await roomIn(session, transfer)), view };
}

/** Metadata without a volume may be that of another pool, or of another libvirt that keeps it in the same place. */
async function withoutForeign(
  session: Session,
  view: PoolView,
  steps: readonly SyncStep[],
): Promise<readonly SyncStep[]> {
  const own: SyncStep[] = [];
  for (const step of steps) {
    const reason = step.action === 'forget' ? await foreignMetadata(session, view, step.identity) : undefined;
    if (reason === undefined) own.push(step);
    else if (step.action === 'forget') showForeignMetadata(step.identity, reason, session);
  }
  return own;
}

/** Plans, lets the view be looked at, and carries out. */
export async function executeRound(
  session: LockedSession,
  source: ReadSource,
  policy: RoundPolicy,
  onView: (view: PoolView) => void,
): Promise<Round> {
  const plan = await planRound(session, source, policy, await lookAtPool(session));
  onView(plan.view);
  const run = syncRun(session, source, { policy, records: plan.view.records, isRepeated: false });
  return { source, outcomes: await executeSync(plan.steps, run) };
}

/**
 * Gives images a second chance that are gone from where the documents say, or are not what these describe: the publisher
 * may have moved on meanwhile, or a cache on the way may hold something old. The documents are read anew and the images
 * fetched from their first byte, both past all caches.
 */
export async function repeatOutdated(
  session: LockedSession,
  first: Round,
  { policy, readAgain }: { readonly policy: RoundPolicy; readonly readAgain: () => Promise<ReadSource> },
): Promise<Round> {
  const outdated = first.outcomes.filter(isOutdated);
  if (outdated.length === 0) return first;
  const source = await newerSource(session, readAgain);
  const repeated = outdated.filter((outcome) => mayFareBetter(outcome, source));
  for (const outcome of outdated) if (!repeated.includes(outcome)) session.reporter.error(outcome.error);
  if (source === undefined || repeated.length === 0) return first;
  const products = new Set(repeated.map(({ step }) => productOf(step)));
  const { steps, view } = await planRound(session, source, policy, await lookAtPool(session));
  const again = await executeSync(
    steps.filter((step) => products.has(productOf(step))),
    syncRun(session, source, { policy, records: view.records, isRepeated: true }),
  );
  return { source, outcomes: [...first.outcomes.filter((outcome) => !repeated.includes(outcome)), ...again] };
}

/** Tells what is in the pool and will be left as it is. */
export function showLeftAlone({ foreign, undecodable, unknown, damaged }: PoolView, reporter: Reporter): void {
  for (const name of foreign)
    reporter.event('detail', `leave volume '${name}' alone: not managed`, 'foreign', { volume: name });
  for (const name of undecodable)
    reporter.event('detail', `leave metadata file '${name}' alone: no image has this name`, 'foreign', { file: name });
  for (const [identity, reason] of unknown) reporter.warning(`image ${identity} is left as it is: ${reason}`);
  for (const { identity, error } of damaged)
    reporter.warning(`image ${identityText(identity)} is left as it is: ${error.message}`, error.hint);
}

/** The pool was refreshed when this run began, so the names that libvirt knows are those of volumes that are there. */
async function lookAtPool({ connection, pool, environment }: LockedSession): Promise<RoundSight> {
  return { volumes: await listVolumeNames(connection, pool.name), openIntents: environment.journal.openIntents() };
}

/** Those volumes whose content changed since it was found wrong; only they have to be looked at. */
async function rewrittenVolumes({ connection, pool, paths }: Session, view: PoolView): Promise<ReadonlySet<string>> {
  const judged = [...view.records.values()].filter(({ judged: verdict }) => verdict !== undefined);
  const volumes = [];
  for (const { volumeName } of judged) {
    const volume = view.managed.has(volumeName)
      ? await findVolume({ connection, poolName: pool.name }, volumeName)
      : undefined;
    if (volume !== undefined) volumes.push(volume);
  }
  return volumes.length === 0 ? new Set() : (await gatherPoolView(pool, volumes, paths)).rewritten;
}

/** With `--no-resume` the volumes of unfinished images are used again, and nothing that is in them. */
function fromFirstByte(partials: ReadonlyMap<string, PartialImage>): ReadonlyMap<string, PartialImage> {
  return new Map([...partials].map(([name, partial]) => [name, { ...partial, heldBytes: 0n }]));
}

async function roomIn({ connection, pool, isPlanned }: Session, { reserveBytes }: TransferPolicy): Promise<Room> {
  if (isPlanned === true) return { availableBytes: undefined, reserveBytes };
  const { capacityBytes, availableBytes } = await poolSpace(connection, pool.name);
  const isKnown = capacityBytes > 0n || availableBytes > 0n;
  return { availableBytes: isKnown ? availableBytes : undefined, reserveBytes };
}

/** `undefined` when it cannot be read now; the first round's failures stand then. */
async function newerSource(
  { reporter, environment }: LockedSession,
  readAgain: () => Promise<ReadSource>,
): Promise<ReadSource | undefined> {
  reporter.event('info', 'read the source again, as it may have changed', 'second_look', {});
  try {
    return await readAgain();
  } catch (error) {
    environment.signal.throwIfAborted();
    if (!(error instanceof PoolkeeperError)) throw error;
    reporter.warning(`cannot read the source again: ${error.message}`, error.hint);
    return undefined;
  }
}

const GONE: readonly (number | undefined)[] = [404, 410];

function isOutdated({ step, error }: StepOutcome): boolean {
  if (step.action !== 'fetch') return false;
  return error instanceof IntegrityError || (error instanceof SourceError && GONE.includes(error.httpStatus));
}

/** What is not where it was said to be is there no more the second time; wrong content may have come from a cache. */
function mayFareBetter({ step, error }: StepOutcome, source: ReadSource | undefined): boolean {
  const newest = source?.selection.wanted.find(({ identity }) => identity.product === productOf(step));
  if (newest === undefined) return false;
  return error instanceof IntegrityError || !('image' in step) || step.image.path !== newest.path;
}

function productOf(step: SyncStep): string {
  return ('image' in step ? step.image.identity : step.identity).product;
}

interface RunFacts {
  readonly policy: RoundPolicy;
  readonly records: SyncRun['records'];
  /** Whether this is the second round, after which there is none. */
  readonly isRepeated: boolean;
}

function syncRun(
  session: LockedSession,
  { location, chosen }: ReadSource,
  { policy, records, isRepeated }: RunFacts,
): SyncRun {
  const { environment, reporter } = session;
  const { jobs, transfer } = policy;
  const bases = [location.base, ...chosen.mirrors];
  return {
    environment,
    source: location.display,
    records,
    jobs,
    retries: transfer.retries,
    bypassCaches: isRepeated,
    urlsOf: (image) => bases.map((base) => resolveItemUrl(base, image.path)),
    assertUnused: assertUnusedIn(session),
    onStart: (step) => showStart(step, reporter),
    onEnd: (outcome) => {
      const { step, error, transferred } = outcome;
      if (error === undefined) showDone(step, transferred && deliveryOf(transferred, location.base), reporter);
      else if (isRepeated || !isOutdated(outcome)) reporter.error(error);
    },
  };
}

function deliveryOf({ requestedUrl, url, heldBytes }: TransferredImage, base: URL): Delivery {
  return { url: publicAddress(url), heldBytes, isFromMirror: !requestedUrl.href.startsWith(base.href) };
}
