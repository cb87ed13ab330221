import { formerOwners, ownersOf, ownSelection } from '../core/product-owners.ts';
import type { ImageRecord } from '../core/record.ts';
import { productsOf } from '../core/selection.ts';
import type { SyncStep } from '../core/sync-plan.ts';
import { type NoSpaceError, PoolkeeperError, UsageError } from '../errors.ts';
import type { StepOutcome } from '../execute/sync-steps.ts';
import type { PoolView } from '../gather/pool-view.ts';
import { listVolumes } from '../libvirt/volume.ts';
import { showTakeover } from '../report/sync-report.ts';
import { readOpenIntents } from '../state/journal.ts';
import { readRecords } from '../state/records.ts';
import { type ChosenSource, displayOf } from './choose-sources.ts';
import type { ConfiguredArguments } from './configuration.ts';
import { readSource } from './read-source.ts';
import type { LockedSession, Session } from './session.ts';
import { rememberSource } from './source-acceptance.ts';
import type { ReadSource, SourceReader } from './source-reader.ts';
import { executeRound, planRound, repeatOutdated, type Round, type RoundPolicy, showLeftAlone } from './sync-round.ts';

/** How one source of a sync fared. */
export interface SourceResult {
  readonly chosen: ChosenSource;
  /** `undefined`: it could not be read, or something broke. */
  readonly round: Round | undefined;
  /** What went wrong with it as a whole; it was reported. Single images are told of by the outcomes of the round. */
  readonly error: PoolkeeperError | undefined;
  /** Why it could not be written down what it offered, which is no reason not to make room. */
  readonly unremembered: NoSpaceError | undefined;
}

/** How the sources of a run are read, and brought in step with. */
interface SourceRun {
  readonly policy: RoundPolicy;
  readonly reading: SourceReading;
}

/** Reads one source after the other, and leaves to each what is its own. */
export class SourceReading {
  readonly #session: Session;
  readonly #reader: SourceReader;
  /** Names of the sources that there are, by address. */
  readonly #names: ReadonlyMap<string, string>;
  /** What sources of this run have selected before, and so will bring. */
  readonly #claims = new Map<string, string>();

  constructor(session: Session, reader: SourceReader, { configuration }: ConfiguredArguments) {
    this.#session = session;
    this.#reader = reader;
    this.#names = new Map((configuration?.sources ?? []).map((settings) => [displayOf(settings), settings.name]));
  }

  /** What a source offers and may bring; the error says what it may not. */
  async read(
    chosen: ChosenSource,
    options: { readonly bypassCaches?: boolean } = {},
  ): Promise<{ readonly source: ReadSource; readonly refusal: UsageError | undefined }> {
    const read = await readSource(chosen, this.#reader, options);
    const { display } = read.location;
    const { selection, claimed } = ownSelection(read.selection, display, await this.#ownersBeside(display));
    for (const product of productsOf(selection)) this.#claims.set(product, display);
    const [first] = claimed;
    const refusal = first === undefined ? undefined : this.#claimedBy(first[0], first[1], chosen);
    return { source: { ...read, selection }, refusal };
  }

  /** Records are only worth a look where there is another source that could own something. */
  async #ownersBeside(display: string): Promise<ReadonlyMap<string, string>> {
    const others = new Set([...this.#names.keys(), ...this.#claims.values()].filter((address) => address !== display));
    if (others.size === 0) return new Map();
    const { records } = await readRecords(this.#session.paths.records);
    return new Map([...this.#claims, ...ownersOf(records.values(), new Set([...others, display]))]);
  }

  #claimedBy(owner: string, products: readonly string[], { name, location }: ChosenSource): UsageError {
    const brought = `${products.length} product(s) that source '${this.#names.get(owner) ?? owner}' brought: `;
    return new UsageError(`source '${name ?? location.display}' offers ${brought}${listOf(products)}`, {
      hint: `they stay with it; leave them out by a filter such as product_name!=${products[0] ?? ''}, or write the address under 'mirrors' of the other source`,
    });
  }
}

const MOST_LISTED = 3;

function listOf(products: readonly string[]): string {
  const more = products.length > MOST_LISTED ? ', …' : '';
  return products.slice(0, MOST_LISTED).join(', ') + more;
}

/**
 * Brings the pool in step with each source, whatever becomes of the others.
 *
 * @throws the failure of a source that is the only one.
 */
export async function syncSources(
  session: LockedSession,
  sources: readonly ChosenSource[],
  { policy, reading }: SourceRun,
): Promise<readonly SourceResult[]> {
  const results: SourceResult[] = [];
  const onView = showOnce(session);
  for (const chosen of sources) {
    results.push(
      await attemptSource(session, { chosen, isOnly: sources.length === 1 }, () =>
        syncSource(session, chosen, { policy, reading, onView }),
      ),
    );
  }
  return results;
}

/** What is left alone is the same for every source. */
function showOnce({ reporter }: Session): (view: PoolView) => void {
  let isShown = false;
  return (view) => {
    if (!isShown) showLeftAlone(view, reporter);
    isShown = true;
  };
}

/** Lets the failure of one source be no matter of the others. */
async function attemptSource(
  { context, reporter }: Session,
  { chosen, isOnly }: { readonly chosen: ChosenSource; readonly isOnly: boolean },
  attempt: () => Promise<SourceResult>,
): Promise<SourceResult> {
  try {
    const result = await attempt();
    if (result.error !== undefined) reporter.error(result.error);
    return result;
  } catch (error) {
    context.signal.throwIfAborted();
    if (isOnly || !(error instanceof PoolkeeperError)) throw error;
    reporter.error(error);
    return { chosen, round: undefined, error, unremembered: undefined };
  }
}

async function syncSource(
  session: LockedSession,
  chosen: ChosenSource,
  { policy, reading, onView }: SourceRun & { readonly onView: (view: PoolView) => void },
): Promise<SourceResult> {
  const { source, refusal } = await reading.read(chosen);
  let records: Iterable<ImageRecord> = [];
  const first = await executeRound(session, source, policy, (view) => {
    records = view.records.values();
    onView(view);
  });
  const readAgain = async (): Promise<ReadSource> => (await reading.read(chosen, { bypassCaches: true })).source;
  const round = await repeatOutdated(session, first, { policy, readAgain });
  const isUseful = round.source.selection.wanted.length > 0;
  const unremembered = isUseful ? await rememberSource(session, round.source) : undefined;
  showTakeovers(round, records, session);
  return { chosen, round, error: refusal, unremembered };
}

function showTakeovers({ source, outcomes }: Round, records: Iterable<ImageRecord>, { reporter }: Session): void {
  const { display } = source.location;
  const brought = outcomes.flatMap(({ step, error }) =>
    step.action === 'fetch' && error === undefined ? [step.image.identity.product] : [],
  );
  for (const [product, former] of formerOwners(records, new Set(brought), display))
    showTakeover(product, former, display, reporter);
}

/**
 * Decides what a sync of the sources would do, and does nothing. What every source would lead to, such as metadata to be
 * removed, is named once.
 */
export async function planSources(
  session: Session,
  sources: readonly ChosenSource[],
  { policy, reading }: SourceRun,
): Promise<{ readonly results: readonly SourceResult[]; readonly steps: readonly SyncStep[] }> {
  // Nobody refreshed the pool, and only a look at each volume shows what is gone.
  const { volumes } =
    session.isPlanned === true ? { volumes: [] } : await listVolumes(session.connection, session.pool.name);
  const sight = { volumes, openIntents: await readOpenIntents(session.paths.journal) };
  const steps = new Map<string, SyncStep>();
  const results: SourceResult[] = [];
  const onView = showOnce(session);
  for (const chosen of sources) {
    const result = await attemptSource(session, { chosen, isOnly: sources.length === 1 }, async () => {
      const { source, refusal } = await reading.read(chosen);
      const plan = await planRound(session, source, policy, sight);
      onView(plan.view);
      for (const step of plan.steps) steps.set(`${step.action} ${step.volumeName}`, step);
      return { chosen, round: { source, outcomes: [] }, error: refusal, unremembered: undefined };
    });
    results.push(result);
  }
  return { results, steps: [...steps.values()] };
}

/** What became of every step, of whichever source. */
export function outcomesOf(results: readonly SourceResult[]): readonly StepOutcome[] {
  return results.flatMap(({ round }) => round?.outcomes ?? []);
}
