import type { Argv, CommandModule } from 'yargs';
import { parseDuration } from '../core/duration.ts';
import type { Fetcher } from '../core/ports.ts';
import { planSync, type SyncStep } from '../core/sync-plan.ts';
import { executeSync, type StepOutcome, type SyncRun } from '../execute/sync-steps.ts';
import { gatherPoolView, volumeNameIn } from '../gather/pool-view.ts';
import { listVolumes } from '../libvirt/volume.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { showDone, showPlan, showStart } from '../report/sync-report.ts';
import { resolveItemUrl } from '../simplestreams/source.ts';
import type { CommandContext } from './context.ts';
import { createPool } from './create-pool.ts';
import { changeOptions, type PoolArguments, poolOptions, sweepOptions } from './options.ts';
import { readSource, type ReadSource, rememberSource, type SourceArguments } from './read-source.ts';
import { removeUnfinished, repairState } from './repair-state.ts';
import {
  fetcherOf,
  type LockedSession,
  openSession,
  positiveNumber,
  type Session,
  withConnection,
  withLock,
} from './session.ts';
import { finish } from './sync-result.ts';
import { sweepPool, type SweepArguments, wouldSweep } from './sweep-pool.ts';

interface SyncArguments extends SourceArguments, PoolArguments, SweepArguments {
  readonly createPool: string | undefined;
  readonly jobs: number;
  readonly keepVersions: number;
  readonly grace: string;
  readonly dryRun: boolean;
}

/** Each job has a connection to libvirt, of which libvirtd accepts some tens. */
const MOST_JOBS = 16;

/** More than any product ever has. */
const MOST_VERSIONS = 1000;

/** `sync [FILTER…]`: brings the pool in step with a source. */
export function syncCommand(context: CommandContext): CommandModule<object, SyncArguments> {
  return {
    command: 'sync [filters..]',
    describe: 'fetch new images, retire old ones, delete what nothing needs',
    builder: (yargs) => syncOptions(yargs) as Argv<SyncArguments>,
    handler: (options) => runSync(context, options),
  };
}

function syncOptions(yargs: Argv): Argv {
  return sweepOptions(changeOptions(poolOptions(yargs)))
    .positional('filters', {
      type: 'string',
      array: true,
      describe: 'KEY=VALUE, KEY!=VALUE, KEY~REGEX, KEY!~REGEX; default: arch of this host',
    })
    .option('source', {
      type: 'string',
      requiresArg: true,
      default: 'https://cloud-images.ubuntu.com/releases/',
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
    .option('create-pool', {
      type: 'string',
      describe: 'create and start the pool if need be (=PATH: in this directory)',
    })
    .option('jobs', {
      alias: 'j',
      type: 'number',
      requiresArg: true,
      default: 2,
      describe: 'images to fetch at the same time',
    })
    .option('keep-versions', {
      type: 'number',
      requiresArg: true,
      default: 1,
      describe: 'newest versions of each product to hold',
    })
    .option('grace', {
      type: 'string',
      requiresArg: true,
      default: '2h',
      describe: 'keep volumes that were needed within this time',
    });
}

async function runSync(context: CommandContext, options: SyncArguments): Promise<void> {
  const jobs = positiveNumber(options.jobs, '--jobs', MOST_JOBS);
  positiveNumber(options.keepVersions, '--keep-versions', MOST_VERSIONS);
  const policy = {
    graceMs: parseDuration(options.grace, '--grace'),
    minAgeMs: parseDuration(options.minAge, '--min-age'),
  };
  const fetcher = fetcherOf(context);
  try {
    await withConnection(
      options,
      async (connection) => {
        if (options.createPool !== undefined && !options.dryRun)
          await createPool(connection, options.pool, options.createPool);
        const session = await openSession(context, options, connection);
        if (options.dryRun) return dryRun(session, { options, policy, fetcher });
        return withLock(session, { command: 'sync', fetcher }, (locked) => sync(locked, { options, policy, jobs }));
      },
      jobs + 4,
    );
  } finally {
    await fetcher.close();
  }
}

interface Periods {
  readonly graceMs: number;
  readonly minAgeMs: number;
}

/** Gathers and plans like a real run, shows the plan, and stops there. */
async function dryRun(
  session: Session,
  { options, policy, fetcher }: { options: SyncArguments; policy: Periods; fetcher: Fetcher },
): Promise<void> {
  const source = await readSource(session, options, fetcher);
  const steps = (await plan(session, source, options)).steps;
  showPlan(steps, session.reporter);
  const retired = steps.flatMap((step) => (step.action === 'retire' && !step.retained ? [step.volumeName] : []));
  await wouldSweep(session, policy, new Set(retired));
  await finish({ session, source, outcomes: [], swept: undefined });
}

/** The real run: everything in the order of the plan, then the sweep, whatever failed before. */
async function sync(
  session: LockedSession,
  { options, policy, jobs }: { options: SyncArguments; policy: Periods; jobs: number },
): Promise<void> {
  await refreshPool(session.connection, session.pool.name);
  await repairState(session);
  const source = await readSource(session, options, session.environment.fetcher);
  const { steps, records } = await plan(session, source, options);
  const outcomes = await executeSync(steps, syncRun({ session, source, records, jobs }));
  if (source.selection.wanted.length > 0) await rememberSource(session, source);
  const swept = await sweepPool(session, policy, options);
  await finish({ session, source, outcomes, swept });
}

async function plan(session: Session, { selection }: ReadSource, { keepVersions }: SyncArguments) {
  const { connection, pool, paths, reporter } = session;
  const { volumes } = await listVolumes(connection, pool.name);
  const view = await gatherPoolView(pool, volumes, paths);
  for (const name of view.foreign)
    reporter.event('detail', `leave volume '${name}' alone: not managed`, 'foreign', { volume: name });
  for (const name of view.undecodable)
    reporter.event('detail', `leave metadata file '${name}' alone: no image has this name`, 'foreign', { file: name });
  for (const { error } of view.damaged) reporter.warning(error.message, error.hint);
  for (const [identity, reason] of view.unknown) reporter.warning(`image ${identity} is left as it is: ${reason}`);
  const managed = new Map([...view.managed].map(([name, { identity }]) => [name, identity]));
  const facts = { ...view, wanted: selection.wanted, volumes: managed, volumeName: volumeNameIn(pool), keepVersions };
  return { steps: planSync(facts), records: view.records };
}

function syncRun({
  session,
  source,
  records,
  jobs,
}: {
  session: LockedSession;
  source: ReadSource;
  records: SyncRun['records'];
  jobs: number;
}): SyncRun {
  const { environment, reporter } = session;
  return {
    environment,
    source: source.location.display,
    records,
    jobs,
    urlsOf: (image) => [resolveItemUrl(source.location.base, image.path)],
    removeUnfinished: (volumeName) => removeUnfinished(session, volumeName),
    onStart: (step: SyncStep) => showStart(step, reporter),
    onEnd: ({ step, error }: StepOutcome) => {
      if (error === undefined) showDone(step, reporter);
      else reporter.error(error);
    },
  };
}
