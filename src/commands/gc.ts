import type { Argv } from 'yargs';
import { FailureError, PartialError } from '../errors.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { confirm } from '../report/prompt.ts';
import { showRetention, showRetirements, showRun, showTotals } from '../report/retention-report.ts';
import { showVerdicts } from '../report/sweep-report.ts';
import type { CommandContext } from './context.ts';
import { goneByMemory } from './gone-products.ts';
import { changeOptions, type PoolArguments, poolOptions, type Verb } from './options.ts';
import { repairState } from './repair-state.ts';
import {
  type CollectionPolicy,
  collectionPolicy,
  type RetentionArguments,
  retentionOptions,
} from './retention-options.ts';
import { fetcherOf, type LockedSession, openSession, type Session, withConnection, withLock } from './session.ts';
import { collect, type Collection, countWaiting, doomedOf, planCollection, type Swept } from './sweep-pool.ts';
import { gatherPoolView } from '../gather/pool-view.ts';

interface GcArguments extends PoolArguments, RetentionArguments {
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/** `gc`: takes images out of use that the policy does not hold on to, and deletes those that nothing needs. */
export function gcCommand(context: CommandContext): Verb<GcArguments> {
  return {
    builder: (yargs) => retentionOptions(changeOptions(poolOptions(yargs))) as unknown as Argv<GcArguments>,
    handler: (options) => runGc(context, options),
  };
}

async function runGc(context: CommandContext, options: GcArguments): Promise<void> {
  const policy = collectionPolicy(options);
  const fetcher = fetcherOf(context);
  try {
    await withConnection(options, async (connection) => {
      const session = await openSession(context, options, connection);
      if (options.dryRun) return dryRun(session, policy);
      await withLock(session, { command: 'gc', fetcher }, (locked) => gc(locked, policy, options));
    });
  } finally {
    await fetcher.close();
  }
}

async function dryRun(session: Session, policy: CollectionPolicy): Promise<void> {
  const collection = await plan(session, policy);
  show(collection, session, true);
  showTotals(
    { heldBytes: heldBytes(collection), freedBytes: sizeOf(doomedOf(collection.judgement)) },
    true,
    session.reporter,
  );
}

async function gc(session: LockedSession, policy: CollectionPolicy, options: GcArguments): Promise<void> {
  await refreshPool(session.connection, session.pool.name);
  await repairState(session);
  const collection = await plan(session, policy);
  show(collection, session, false);
  if (!(await isConfirmed(collection, session, options))) throw new FailureError('nothing was collected');
  const swept = await collect(session, collection, { policy, allowMassRemoval: options.allowMassRemoval });
  const { reporter, environment } = session;
  showRun(environment.runId, countWaiting(swept.retired, swept.outcomes), reporter);
  const freedBytes = sizeOf(swept.outcomes.filter(({ result }) => result === 'deleted'));
  showTotals({ heldBytes: heldBytes(collection), freedBytes }, false, reporter);
  finish(swept);
}

async function plan(session: Session, policy: CollectionPolicy): Promise<Collection> {
  const { records } = await gatherPoolView(session.pool, [], session.paths);
  const sources = new Set([...records.values()].flatMap(({ provenance }) => provenance.source ?? []));
  const isGone = await goneByMemory(session, sources);
  return planCollection(session, { policy, isGone, isSpared: () => false, withdrawn: new Set() });
}

function show({ retention, retired, judgement }: Collection, { reporter }: Session, isDryRun: boolean): void {
  showRetention(retention, reporter);
  if (isDryRun) showRetirements(retired, reporter);
  showVerdicts(judgement.verdicts, reporter, isDryRun);
}

/** Only what would change something is worth a question. */
async function isConfirmed(
  { retired, judgement }: Collection,
  { context, reporter, pool }: Session,
  { yes }: GcArguments,
): Promise<boolean> {
  const doomed = doomedOf(judgement);
  if (yes || retired.length + doomed.length === 0) return true;
  if (!context.isInteractive) {
    throw new FailureError(`cannot ask whether to collect garbage in storage pool '${pool.name}'`, {
      hint: 'look at it with --dry-run; without a terminal, confirm with --yes',
    });
  }
  showRetirements(retired, reporter);
  showVerdicts(doomed, reporter, true);
  return confirm('Proceed', context, context.signal);
}

/** @throws PartialError when a deletion failed or something was spared in the last moment; the sweep's refusal. */
function finish({ outcomes, refusal }: Swept): void {
  const failed = outcomes.filter(({ result }) => result === 'failed').length;
  if (failed > 0) throw new PartialError(`${failed} of ${outcomes.length} volume(s) could not be deleted`);
  if (refusal !== undefined) throw refusal;
}

function heldBytes({ retention }: Collection): bigint {
  return sizeOf(retention.map(({ image }) => ({ volume: { allocationBytes: image.sizeBytes } })));
}

function sizeOf(items: readonly { readonly volume: { readonly allocationBytes: bigint } }[]): bigint {
  let sum = 0n;
  for (const { volume } of items) sum += volume.allocationBytes;
  return sum;
}
