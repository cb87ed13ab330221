import type { Argv } from 'yargs';
import type { CollectionPolicy } from '../core/retention.ts';
import { productsOf } from '../core/selection.ts';
import { assertWholeNumber } from '../core/whole-number.ts';
import { MOST_JOBS } from '../config/settings.ts';
import { unclaimedImages } from '../gather/health-images.ts';
import { gatherPoolView } from '../gather/pool-view.ts';
import type { Connection } from '../libvirt/connection.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { showRescue, showRetirements, showRun } from '../report/retention-report.ts';
import { showVerdicts } from '../report/sweep-report.ts';
import { showPlan } from '../report/sync-report.ts';
import { listVolumeNames } from '../libvirt/volume.ts';
import { untoldOf } from '../state/told.ts';
import { executePoolPlan, planPool } from '../app/create-pool.ts';
import { assertOwnPlaces } from '../usage/directories.ts';
import type { CommandContext } from './context.ts';
import { type ChosenSource, chooseSources } from './choose-sources.ts';
import { goneFrom } from './gone-products.ts';
import { type MetricsArguments, metricsOption, observeRun } from './observe-run.ts';
import { changeOptions, type PoolArguments, poolOptions, type Verb } from './options.ts';
import { repairState } from './repair-state.ts';
import { collectionPolicy, type RetentionArguments, retentionOptions, trashSettings } from './retention-options.ts';
import {
  fetcherOf,
  type LockedSession,
  openPlannedSession,
  openSession,
  ownDirectories,
  refreshToLook,
  reporterOf,
  type Session,
  withConnection,
  withLock,
} from './session.ts';
import { type SourceArguments, sourceOptions } from './source-options.ts';
import { readerOf } from './source-reader.ts';
import { finish } from './sync-result.ts';
import type { RoundPolicy } from './sync-round.ts';
import { outcomesOf, planSources, type SourceResult, SourceReading, syncSources } from './sync-sources.ts';
import { collect, type CollectionScope, countWaiting, planCollection, refusalOf, type Swept } from './sweep-pool.ts';
import { rescueTrashed, showRescuesOfTrash } from './trash.ts';
import { type TransferArguments, transferOptions, transferPolicy } from './transfer-options.ts';

interface SyncArguments
  extends SourceArguments, PoolArguments, RetentionArguments, TransferArguments, MetricsArguments {
  readonly createPool: string | undefined;
  readonly jobs: number;
  readonly noGc: boolean;
  readonly dryRun: boolean;
}

/** `sync [FILTER…]`: brings the pool in step with its sources. */
export function syncCommand(context: CommandContext): Verb<SyncArguments> {
  return {
    builder: (yargs) => syncOptions(yargs) as Argv<SyncArguments>,
    handler: (options) =>
      options.dryRun
        ? runSync(context, options)
        : observeRun({ command: 'sync', context, options }, (observed) => runSync(observed, options)),
  };
}

function syncOptions(yargs: Argv): Argv {
  return metricsOption(transferOptions(retentionOptions(changeOptions(poolOptions(sourceOptions(yargs))))))
    .option('create-pool', {
      type: 'string',
      describe: 'create and start the pool if need be (=PATH: in this directory)',
    })
    .option('jobs', {
      alias: 'j',
      type: 'number',
      requiresArg: true,
      defaultDescription: '2',
      describe: 'images to fetch at the same time',
    })
    .option('no-gc', { type: 'boolean', default: false, describe: 'delete nothing' });
}

async function runSync(context: CommandContext, options: SyncArguments): Promise<void> {
  const collection = collectionPolicy(options);
  const policy: RoundPolicy = {
    keepVersions: collection.retention.policy.keepVersions,
    jobs: assertWholeNumber(options.jobs, '--jobs', 1, MOST_JOBS),
    transfer: transferPolicy(options),
  };
  const sources = chooseSources(options, context);
  const fetcher = fetcherOf(context, policy.transfer);
  const plan: SyncPlan = { options, sources, policy, collection };
  try {
    await withConnection(
      options,
      async (connection) => {
        const pool = await providePool(context, options, connection);
        if (pool === 'starts later') return;
        const session = pool ?? (await openSession(context, options, connection));
        const reading = new SourceReading(session, readerOf(session, options, fetcher), options);
        if (options.dryRun) return dryRun(session, reading, plan);
        return withLock(session, { command: 'sync', fetcher }, (locked) => sync(locked, reading, plan));
      },
      policy.jobs + 4,
    );
  } finally {
    await fetcher.close();
  }
}

/**
 * Does what `--create-pool` asks for. A dry run only says it.
 *
 * @returns the session of a pool that a dry run takes for made; `undefined`: the pool is there, and active.
 */
async function providePool(
  context: CommandContext,
  options: SyncArguments,
  connection: Connection,
): Promise<Session | 'starts later' | undefined> {
  if (options.createPool === undefined) return undefined;
  const plan = await planPool(connection, options.pool, options.createPool);
  if (plan.action === 'none') return undefined;
  const reporter = reporterOf(context, options);
  const { action, name, targetPath } = plan;
  const place = targetPath === undefined ? '' : ` in '${targetPath}'`;
  const fields = { action, pool: name, path: targetPath, is_dry_run: options.dryRun };
  const planned = openPlannedSession(context, options, connection, targetPath);
  const dirs = ownDirectories(context, options, planned.paths);
  await assertOwnPlaces(connection, dirs, name, action === 'create' ? [planned.pool] : []);
  if (!options.dryRun) {
    await executePoolPlan(connection, plan, dirs);
    const done = action === 'create' ? 'created' : 'started';
    reporter.event('change', `${done} storage pool '${name}'${place}`, 'pool_provided', fields);
    return undefined;
  }
  const more = action === 'start' ? '; what else would be done can be told once it is active' : '';
  reporter.event('change', `would ${action} storage pool '${name}'${place}${more}`, 'pool_provided', fields);
  return action === 'start' ? 'starts later' : planned;
}

/** What a sync was told to do. */
interface SyncPlan {
  readonly options: SyncArguments;
  readonly sources: readonly ChosenSource[];
  readonly policy: RoundPolicy;
  readonly collection: CollectionPolicy;
}

/** Gathers and plans like a real run, shows the plan, and stops there. */
async function dryRun(session: Session, reading: SourceReading, plan: SyncPlan): Promise<void> {
  if (session.isPlanned !== true) await refreshToLook(session);
  const { results, steps } = await planSources(session, plan.sources, { policy: plan.policy, reading });
  showPlan(steps, session.reporter);
  const retired = steps.flatMap((step) => (step.action === 'retire' && !step.retained ? [step.volumeName] : []));
  if (session.isPlanned !== true) await showRescuesOfTrash(session);
  let swept: Swept | undefined;
  if (!plan.options.noGc && session.isPlanned !== true && results.some(({ round }) => round !== undefined)) {
    const collection = await planCollection(session, collectionScope(results, plan, new Set(retired)));
    for (const rescue of collection.rescued) showRescue(rescue, true, session.reporter);
    showRetirements(collection.retired, session.reporter);
    showVerdicts(collection.judgement.verdicts, session.reporter, true);
    const arriving = steps.flatMap((step) =>
      step.action === 'fetch' || step.action === 'adopt'
        ? [{ identity: step.image.identity, source: undefined, isOffered: true }]
        : [],
    );
    swept = { outcomes: [], refusal: refusalOf(collection, plan.options, arriving), retired: [] };
  }
  finish({ session, results, swept });
}

/** The real run: each source in its turn, then one sweep, whatever failed before. */
async function sync(session: LockedSession, reading: SourceReading, plan: SyncPlan): Promise<void> {
  const { connection, pool, reporter, environment } = session;
  await refreshPool(connection, pool.name);
  await repairState(session);
  await rescueTrashed(session);
  const results = await syncSources(session, plan.sources, { policy: plan.policy, reading });
  await tellUnclaimed(session);
  const swept = plan.options.noGc ? undefined : await sweep(session, results, plan);
  const replaced = outcomesOf(results).flatMap(({ step, error }) =>
    step.action === 'retire' && !step.retained && error === undefined ? [step.volumeName] : [],
  );
  const waiting = countWaiting([...replaced, ...(swept?.retired ?? [])], swept?.outcomes);
  showRun(environment.runId, waiting, reporter);
  finish({ session, results, swept });
  for (const { unremembered } of results) if (unremembered !== undefined) throw unremembered;
}

/** Says of every volume that stays because nobody knows whose it is that it does, once. */
async function tellUnclaimed({ connection, pool, paths, reporter }: LockedSession): Promise<void> {
  const view = await gatherPoolView(pool, await listVolumeNames(connection, pool.name), paths);
  const untold = new Set(await untoldOf(paths.root, [...view.unclaimed.keys()]));
  for (const { volumeName, message, hint } of unclaimedImages(view))
    if (untold.has(volumeName)) reporter.warning(message, hint);
}

async function sweep(
  session: LockedSession,
  results: readonly SourceResult[],
  plan: SyncPlan,
): Promise<Swept | undefined> {
  // Without any word from the sources nothing is known to be replaced, and the next run is soon enough.
  if (results.every(({ round }) => round === undefined)) return undefined;
  const scope = collectionScope(results, plan, new Set());
  const collection = await planCollection(session, scope);
  showVerdicts(collection.judgement.verdicts, session.reporter, false);
  const { allowMassRemoval } = plan.options;
  return collect(session, collection, { ...scope, trash: trashSettings(plan.options), allowMassRemoval });
}

/** Products that no source names, or that the filters leave out, keep the versions that they have. */
function collectionScope(
  results: readonly SourceResult[],
  { collection }: SyncPlan,
  withdrawn: ReadonlySet<string>,
): CollectionScope {
  const sources = results.flatMap(({ round }) => round?.source ?? []);
  const named = new Set(sources.flatMap(({ selection }) => [...productsOf(selection)]));
  const isSpared = (product: string): boolean => !named.has(product);
  const listed = new Set(sources.flatMap((source) => source.listed));
  return { policy: collection, isGone: goneFrom(sources), isSpared, withdrawn, listed };
}
