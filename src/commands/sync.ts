import type { Argv } from 'yargs';
import type { Fetcher } from '../core/ports.ts';
import type { CollectionPolicy } from '../core/retention.ts';
import { productsOf } from '../core/selection.ts';
import { assertWholeNumber } from '../core/whole-number.ts';
import { MOST_JOBS } from '../config/settings.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { listVolumes } from '../libvirt/volume.ts';
import { showRetirements, showRun } from '../report/retention-report.ts';
import { showVerdicts } from '../report/sweep-report.ts';
import { showPlan } from '../report/sync-report.ts';
import { readOpenIntents } from '../state/journal.ts';
import type { CommandContext } from './context.ts';
import { createPool } from './create-pool.ts';
import { goneFrom } from './gone-products.ts';
import { type MetricsArguments, metricsOption, observeRun } from './observe-run.ts';
import { changeOptions, type PoolArguments, poolOptions, type Verb } from './options.ts';
import { DEFAULT_SOURCE, type ReadSource, readSource, rememberSource, type SourceArguments } from './read-source.ts';
import { repairState } from './repair-state.ts';
import { collectionPolicy, type RetentionArguments, retentionOptions } from './retention-options.ts';
import { fetcherOf, type LockedSession, openSession, type Session, withConnection, withLock } from './session.ts';
import { finish } from './sync-result.ts';
import { executeRound, planRound, repeatOutdated, type RoundPolicy, showLeftAlone } from './sync-round.ts';
import { collect, type CollectionScope, countWaiting, planCollection, type Swept } from './sweep-pool.ts';
import { type TransferArguments, transferOptions, transferPolicy } from './transfer-options.ts';

interface SyncArguments
  extends SourceArguments, PoolArguments, RetentionArguments, TransferArguments, MetricsArguments {
  readonly createPool: string | undefined;
  readonly jobs: number;
  readonly noGc: boolean;
  readonly dryRun: boolean;
}

/** `sync [FILTER…]`: brings the pool in step with a source. */
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
  return metricsOption(transferOptions(retentionOptions(changeOptions(poolOptions(yargs)))))
    .positional('filters', {
      type: 'string',
      array: true,
      describe: 'KEY=VALUE, KEY!=VALUE, KEY~REGEX, KEY!~REGEX; default: arch of this host',
    })
    .option('source', {
      type: 'string',
      requiresArg: true,
      default: DEFAULT_SOURCE,
      describe: 'address of the simplestreams source',
    })
    .option('path', { type: 'string', requiresArg: true, describe: 'first document, relative to the source' })
    .option('keyring', { type: 'string', requiresArg: true, describe: 'keys that may sign the source' })
    .option('no-authentication', { type: 'boolean', default: false, describe: 'trust unsigned documents' })
    .option('allow-rollback', {
      type: 'boolean',
      default: false,
      describe: 'accept documents older than the last ones',
    })
    .option('max-document-age', {
      type: 'string',
      requiresArg: true,
      describe: 'refuse a source whose newest document is older than this',
    })
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
  const policy = {
    collection,
    keepVersions: collection.retention.policy.keepVersions,
    jobs: assertWholeNumber(options.jobs, '--jobs', 1, MOST_JOBS),
    transfer: transferPolicy(options, context),
  };
  const fetcher = fetcherOf(context, policy.transfer);
  try {
    await withConnection(
      options,
      async (connection) => {
        if (options.createPool !== undefined && !options.dryRun)
          await createPool(connection, options.pool, options.createPool);
        const session = await openSession(context, options, connection);
        if (options.dryRun) return dryRun(session, { options, policy, fetcher });
        return withLock(session, { command: 'sync', fetcher }, (locked) => sync(locked, { options, policy }));
      },
      policy.jobs + 4,
    );
  } finally {
    await fetcher.close();
  }
}

interface SyncPolicy extends RoundPolicy {
  readonly collection: CollectionPolicy;
}

/** Gathers and plans like a real run, shows the plan, and stops there. */
async function dryRun(
  session: Session,
  { options, policy, fetcher }: { options: SyncArguments; policy: SyncPolicy; fetcher: Fetcher },
): Promise<void> {
  const source = await readSource(session, options, fetcher);
  // Nobody refreshed the pool, and only a look at each volume shows what is gone.
  const { volumes } = await listVolumes(session.connection, session.pool.name);
  const openIntents = await readOpenIntents(session.paths.journal);
  const { steps, view } = await planRound(session, source, policy, { volumes, openIntents });
  showLeftAlone(view, session.reporter);
  showPlan(steps, session.reporter);
  const retired = steps.flatMap((step) => (step.action === 'retire' && !step.retained ? [step.volumeName] : []));
  if (!options.noGc) {
    const collection = await planCollection(session, collectionScope(source, policy, new Set(retired)));
    showRetirements(collection.retired, session.reporter);
    showVerdicts(collection.judgement.verdicts, session.reporter, true);
  }
  await finish({ session, source, outcomes: [], swept: undefined });
}

/** The real run: everything in the order of the plan, then the sweep, whatever failed before. */
async function sync(
  session: LockedSession,
  { options, policy }: { options: SyncArguments; policy: SyncPolicy },
): Promise<void> {
  await refreshPool(session.connection, session.pool.name);
  await repairState(session);
  const { fetcher } = session.environment;
  const first = await executeRound(session, await readSource(session, options, fetcher), policy);
  const readAgain = () => readSource(session, options, fetcher, { bypassCaches: true });
  const { source, outcomes } = await repeatOutdated(session, first, { policy, readAgain });
  const unremembered = source.selection.wanted.length > 0 ? await rememberSource(session, source) : undefined;
  const swept = options.noGc ? undefined : await sweep(session, source, { options, policy });
  const replaced = outcomes.flatMap(({ step, error }) =>
    step.action === 'retire' && !step.retained && error === undefined ? [step.volumeName] : [],
  );
  const waiting = countWaiting([...replaced, ...(swept?.retired ?? [])], swept?.outcomes);
  showRun(session.environment.runId, waiting, session.reporter);
  await finish({ session, source, outcomes, swept });
  if (unremembered !== undefined) throw unremembered;
}

async function sweep(
  session: LockedSession,
  source: ReadSource,
  { options, policy }: { options: SyncArguments; policy: SyncPolicy },
): Promise<Swept> {
  const scope = collectionScope(source, policy, new Set());
  const collection = await planCollection(session, scope);
  showVerdicts(collection.judgement.verdicts, session.reporter, false);
  return collect(session, collection, { ...scope, allowMassRemoval: options.allowMassRemoval });
}

/** Products that this source does not name, or that the filters leave out, keep the versions that they have. */
function collectionScope(source: ReadSource, policy: SyncPolicy, withdrawn: ReadonlySet<string>): CollectionScope {
  const named = productsOf(source.selection);
  const isSpared = (product: string): boolean => !named.has(product);
  return { policy: policy.collection, isGone: goneFrom(source), isSpared, withdrawn };
}
