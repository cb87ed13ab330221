import type { Argv } from 'yargs';
import { parseDuration } from '../core/duration.ts';
import { UsageError } from '../errors.ts';
import { createQemuImgInfo } from '../image-format/qemu-img.ts';
import type { Connection } from '../libvirt/connection.ts';
import { listPools, refreshPool } from '../libvirt/storage-pool.ts';
import { isDeletable, showOrphans } from '../report/orphans-report.ts';
import { assertOwnPlaces } from '../usage/directories.ts';
import { incompleteView } from '../report/sweep-report.ts';
import type { CommandContext } from './context.ts';
import { chooseOrphans } from './choose-orphans.ts';
import { deleteOrphans } from './delete-orphans.ts';
import { describeOrphans } from './describe-orphans.ts';
import { type OrphanSearch, searchOrphans } from './judge-orphans.ts';
import { sweepOptions, type Verb } from './options.ts';
import { stateDirOf } from './places.ts';
import { activePool, pathsOfPool, type PoolsArguments } from './pools.ts';
import { claimsOf, ownDirectories, reporterOf, withConnection } from './session.ts';

interface OrphansArguments extends PoolsArguments {
  /** What counts without the option. */
  readonly pool: string;
  readonly pools: readonly string[] | undefined;
  readonly allPools: boolean;
  readonly delete: boolean;
  readonly yes: boolean;
  readonly identify: boolean;
  readonly minAge: string;
  readonly allowMassRemoval: boolean;
}

/** `orphans`: lists volumes that nothing needs, whoever made them, and deletes them if asked to. */
export function orphansCommand(context: CommandContext): Verb<OrphansArguments> {
  return {
    builder: (yargs) => orphansOptions(yargs) as Argv<OrphansArguments>,
    handler: (options) => withConnection(options, (connection) => orphans(context, options, connection)),
  };
}

function orphansOptions(yargs: Argv): Argv {
  return sweepOptions(yargs)
    .option('pool', {
      type: 'string',
      alias: 'pools',
      array: true,
      requiresArg: true,
      describe: 'storage pool to look in, may be given again; default: uvtool',
    })
    .option('all-pools', { type: 'boolean', default: false, describe: 'look in every active storage pool' })
    .option('delete', { type: 'boolean', default: false, describe: 'ask, then delete; from pools of files only' })
    .option('yes', { alias: 'y', type: 'boolean', default: false, describe: 'answer every question with yes' })
    .option('identify', {
      type: 'boolean',
      default: false,
      describe: 'read volumes that have the size of a known image, and compare digests (slow)',
    });
}

async function orphans(context: CommandContext, options: OrphansArguments, connection: Connection): Promise<void> {
  const reporter = reporterOf(context, options);
  const search = { ...(await prepareSearch(context, options, connection)), progress: reporter.progress };
  const judgement = await searchOrphans(search);
  const found = await describeOrphans(judgement, { context, connection, isContentRead: options.identify });
  showOrphans(found, reporter);
  // A report that cannot be trusted is not a success either.
  const refusal = incompleteView(judgement.verdicts, options.delete ? undefined : 'cannot tell about');
  if (refusal !== undefined) throw refusal;
  if (!options.delete || !found.some(isDeletable)) return;
  const chosen = await chooseOrphans(found.filter(isDeletable), options, context);
  await deleteOrphans({ judgement, chosen, search, context, reporter, allowMassRemoval: options.allowMassRemoval });
}

/** Pools that will lose volumes are refreshed first, so that files which came by other means are seen. */
async function prepareSearch(
  context: CommandContext,
  options: OrphansArguments,
  connection: Connection,
): Promise<OrphanSearch> {
  if (options.pools !== undefined && options.allPools)
    throw new UsageError('--pool and --all-pools exclude each other');
  const minAgeMs = parseDuration(options.minAge, '--min-age');
  const all = await listPools(connection);
  const names = new Set(options.pools ?? [options.pool]);
  const pools = options.allPools
    ? all.filter(({ isActive }) => isActive)
    : [...names].map((name) => activePool(all, name));
  for (const pool of options.delete ? pools : []) {
    const paths = pathsOfPool(pool, context, { options, isOnlyPool: pools.length === 1 });
    await assertOwnPlaces(connection, ownDirectories(context, options, paths), pool.name);
    await refreshPool(connection, pool.name);
  }
  return {
    connection,
    qemuImg: createQemuImgInfo(),
    ownPid: context.pid,
    readClaims: claimsOf(context, options),
    sharing: options.configuration?.sharing,
    pools: new Set(pools.map(({ name }) => name)),
    minAgeMs,
    stateDir: stateDirOf(context, options),
    clock: context.clock,
    pathsOf: (pool) =>
      pathsOfPool(pool, context, { options, isOnlyPool: pools.length === 1 && pool.name === pools[0]?.name }),
  };
}
