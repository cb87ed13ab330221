import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import type { CollectionPolicy } from '../core/retention.ts';
import { FailureError, UsageError } from '../errors.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { showPlanWritten } from '../report/plan-report.ts';
import { confirm } from '../report/prompt.ts';
import { showRescue, showRetention, showRetirements } from '../report/retention-report.ts';
import { showVerdicts } from '../report/sweep-report.ts';
import { writePlan } from '../state/plan-file.ts';
import { collectGarbage, planGarbage, showDryTotals } from './collect-garbage.ts';
import type { CommandContext } from './context.ts';
import { toPlan } from './gc-plans.ts';
import { type MetricsArguments, metricsOption, observeRun } from './observe-run.ts';
import { changeOptions, type PoolArguments, poolOptions, type Verb } from './options.ts';
import { repairState } from './repair-state.ts';
import { collectionPolicy, type RetentionArguments, retentionOptions, trashSettings } from './retention-options.ts';
import { type LockedSession, refreshToLook, type Session, withLock, withSession } from './session.ts';
import { showLeftAlone } from './sync-round.ts';
import { type Collection, doomedOf, refusalOf } from './sweep-pool.ts';
import { emptyWholeTrash, rescueTrashed, showRescuesOfTrash, showWholeTrash } from './trash.ts';

interface GcArguments extends PoolArguments, RetentionArguments, MetricsArguments {
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly out: string | undefined;
  readonly emptyTrash: boolean;
}

/** `gc`: takes images out of use that the policy does not hold on to, and deletes those that nothing needs. */
export function gcCommand(context: CommandContext): Verb<GcArguments> {
  return {
    builder: (yargs) => gcOptions(yargs) as unknown as Argv<GcArguments>,
    handler: (options) =>
      options.dryRun || options.out !== undefined
        ? runGc(context, options)
        : observeRun({ command: 'gc', context, options }, (observed) => runGc(observed, options)),
  };
}

function gcOptions<T>(yargs: Argv<T>) {
  return metricsOption(retentionOptions(changeOptions(poolOptions(yargs))))
    .option('out', {
      type: 'string',
      requiresArg: true,
      describe: 'do nothing but write what would be done to this file, for apply',
    })
    .option('empty-trash', {
      type: 'boolean',
      default: false,
      describe: 'do nothing but delete for good what lies in the trash',
    });
}

async function runGc(context: CommandContext, options: GcArguments): Promise<void> {
  const policy = collectionPolicy(options);
  if (options.out === '') throw new UsageError('--out needs the name of a file');
  if (options.out !== undefined && options.emptyTrash)
    throw new UsageError('--out and --empty-trash exclude each other');
  await withSession(context, options, async (session, fetcher) => {
    if (options.dryRun && options.emptyTrash) return showWholeTrash(session);
    if (options.dryRun || options.out !== undefined) return dryRun(session, policy, options);
    await withLock(session, { command: 'gc', fetcher }, (locked) =>
      options.emptyTrash ? emptyWholeTrash(locked, options.yes) : gc(locked, policy, options),
    );
  });
}

/** Shows what would be done, or writes it down. @throws the refusal that the real run would end with. */
async function dryRun(
  session: Session,
  policy: CollectionPolicy,
  { out, allowMassRemoval }: Pick<GcArguments, 'out' | 'allowMassRemoval'>,
): Promise<void> {
  await refreshToLook(session);
  await showRescuesOfTrash(session);
  const collection = await planGarbage(session, policy);
  show(collection, session, true);
  showDryTotals(collection, session);
  if (out !== undefined) {
    const plan = await toPlan(session, collection, policy);
    await writePlan(resolve(session.context.cwd, out), plan);
    showPlanWritten(out, plan, session.reporter);
  }
  const refusal = refusalOf(collection, { allowMassRemoval });
  if (refusal === undefined) return;
  // A plan can be looked at and applied later; until then much may have changed.
  if (out === undefined) throw refusal;
  session.reporter.warning(refusal.message, refusal.hint);
}

async function gc(session: LockedSession, policy: CollectionPolicy, options: GcArguments): Promise<void> {
  await refreshPool(session.connection, session.pool.name);
  await repairState(session);
  await rescueTrashed(session);
  const collection = await planGarbage(session, policy);
  show(collection, session, false);
  if (!(await isConfirmed(collection, session, options))) throw new FailureError('nothing was collected');
  await collectGarbage(session, collection, {
    policy,
    trash: trashSettings(options),
    allowMassRemoval: options.allowMassRemoval,
  });
}

function show({ retention, retired, rescued, judgement }: Collection, { reporter }: Session, isDryRun: boolean): void {
  showLeftAlone(judgement.view, reporter);
  showRetention(retention, reporter);
  if (isDryRun) {
    for (const rescue of rescued) showRescue(rescue, true, reporter);
    showRetirements(retired, reporter);
  }
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
