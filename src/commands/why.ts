import type { Argv } from 'yargs';
import { parseDuration } from '../core/duration.ts';
import { explain, type SweepView } from '../core/explanation.ts';
import type { SweepPolicy } from '../core/sweep-plan.ts';
import type { UseGraph } from '../core/use-graph.ts';
import { causesElsewhere } from '../gather/other-pools.ts';
import { gatherPoolView, type PoolView } from '../gather/pool-view.ts';
import { splitCandidates } from '../gather/sweep-candidates.ts';
import { type GatheredGraph, gatherUseGraph, type PlacedGraph } from '../gather/use-graph.ts';
import { createQemuImgInfo } from '../image-format/qemu-img.ts';
import type { Connection } from '../libvirt/connection.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import { NoMatchError } from '../errors.ts';
import { showWhy } from '../report/why-report.ts';
import { readMoment } from '../state/lived-count.ts';
import type { PoolStatePaths } from '../state/paths.ts';
import type { CommandContext } from './context.ts';
import { findAbsentVolume, findPath, findVolume, type Subject } from './find-subject.ts';
import type { Verb } from './options.ts';
import { stateDirOf } from './places.ts';
import { activePool, pathsOfPool, type PoolsArguments } from './pools.ts';
import { claimsOf, reporterOf, withConnection } from './session.ts';

interface WhyArguments extends PoolsArguments {
  readonly target: string;
  readonly pool: string | undefined;
  readonly grace: string;
  readonly minAge: string;
}

/** `why VOLUME|PATH`: shows everything that keeps a volume. */
export function whyCommand(context: CommandContext): Verb<WhyArguments> {
  return {
    builder: (yargs) => whyOptions(yargs) as Argv<WhyArguments>,
    handler: (options) => withConnection(options, (connection) => why(context, options, connection)),
  };
}

function whyOptions(yargs: Argv): Argv {
  const period = { type: 'string', requiresArg: true, defaultDescription: '2h' } as const;
  return yargs
    .positional('target', {
      type: 'string',
      demandOption: true,
      describe: 'VOLUME, POOL/VOLUME, "PRODUCT VERSION" or an absolute path, in a pool or not',
    })
    .option('pool', { type: 'string', requiresArg: true, describe: 'only look for the volume in this storage pool' })
    .option('grace', { ...period, describe: 'as for sync' })
    .option('min-age', { ...period, describe: 'as for sync' });
}

async function why(context: CommandContext, options: WhyArguments, connection: Connection): Promise<void> {
  const policy = {
    ...(await readMoment(stateDirOf(context, options), context.clock)),
    graceMs: parseDuration(options.grace, '--grace'),
    minAgeMs: parseDuration(options.minAge, '--min-age'),
  };
  const reporter = reporterOf(context, options);
  const gathered = await gatherUseGraph({
    connection,
    qemuImg: createQemuImgInfo(),
    ownPid: context.pid,
    readClaims: claimsOf(context, options),
    sharing: options.configuration?.sharing,
    progress: reporter.progress,
  });
  const subject = await findSubject(options, gathered);
  const { node, seen } = subject;
  const pool = gathered.pools.find(({ name }) => name === seen?.volume.pool);
  const pathsOf = (any: StoragePool): PoolStatePaths =>
    pathsOfPool(any, context, { options, isOnlyPool: any.name === pool?.name });
  const view = pool === undefined ? undefined : await viewOf(pool, gathered, pathsOf(pool));
  const elsewhere = pool === undefined ? new Map<string, string>() : await causesElsewhere(pool, gathered, pathsOf);
  const graph = withNode(gathered.graph, subject);
  const explanation = explain(node, sweepView({ ...gathered, graph }, { view, elsewhere, policy }));
  const record = seen === undefined ? undefined : view?.records.get(seen.volume.name);
  showWhy({ node, volume: seen?.volume, record, explanation }, reporter);
}

async function findSubject({ target, pool }: WhyArguments, gathered: PlacedGraph): Promise<Subject> {
  if (pool !== undefined) activePool(gathered.pools, pool);
  if (target.startsWith('/')) return findPath(target, gathered);
  const volumes = gathered.volumes.filter(({ volume }) => pool === undefined || volume.pool === pool);
  try {
    return findVolume(target, volumes);
  } catch (error) {
    const absent = error instanceof NoMatchError ? findAbsentVolume(target, gathered) : undefined;
    if (absent === undefined) throw error;
    return absent;
  }
}

/** The graph with the node in it, should it be one that nobody knew. */
function withNode(graph: UseGraph, { node }: Subject): UseGraph {
  return graph.nodes.includes(node) ? graph : { ...graph, nodes: [...graph.nodes, node] };
}

async function viewOf(pool: StoragePool, gathered: GatheredGraph, paths: PoolStatePaths): Promise<PoolView> {
  const volumes = gathered.volumes.map(({ volume }) => volume).filter((volume) => volume.pool === pool.name);
  return gatherPoolView(pool, volumes, paths);
}

/** What a sweep of the subject's pool would rest on; without a pool, nothing is a candidate. */
function sweepView(
  gathered: GatheredGraph,
  {
    view,
    elsewhere,
    policy,
  }: {
    readonly view: PoolView | undefined;
    readonly elsewhere: ReadonlyMap<string, string>;
    readonly policy: SweepPolicy;
  },
): SweepView {
  const { graph } = gathered;
  if (view === undefined) return { graph, candidates: [], causes: new Map(), policy };
  const facts = { firstSeenAt: policy.now, isRetired: () => false, elsewhere };
  return { graph, policy, ...splitCandidates(view, gathered, facts) };
}
