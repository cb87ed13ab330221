import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { parseDuration } from '../core/duration.ts';
import { assertApplicable, changedPremises, type GcPlan } from '../core/gc-plan.ts';
import { PartialError } from '../errors.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { showChangedPremises, showDropped } from '../report/plan-report.ts';
import { showRescue, showRetirements } from '../report/retention-report.ts';
import { showVerdicts } from '../report/sweep-report.ts';
import { readMoment } from '../state/lived-count.ts';
import { readPlan } from '../state/plan-file.ts';
import { collectGarbage, planGarbage, showDryTotals } from './collect-garbage.ts';
import type { CommandContext } from './context.ts';
import { placeOf, premisesOf, reduceCollection } from './gc-plans.ts';
import { dryRunOption, massRemovalOption, type PoolArguments, poolOptions, type Verb } from './options.ts';
import { repairState } from './repair-state.ts';
import { trashSettings } from './retention-options.ts';
import { refreshToLook, type Session, withLock, withSession } from './session.ts';
import { type Collection, doomedOf, refusalOf } from './sweep-pool.ts';
import { rescueTrashed, showRescuesOfTrash } from './trash.ts';

interface ApplyArguments extends PoolArguments {
  readonly plan: string;
  readonly maxAge: string;
  readonly dryRun: boolean;
  readonly allowMassRemoval: boolean;
}

/** `apply PLAN`: carries out what is left of a plan that `gc --out` wrote. */
export function applyCommand(context: CommandContext): Verb<ApplyArguments> {
  return {
    builder: (yargs) => applyOptions(yargs) as Argv<ApplyArguments>,
    handler: (options) => runApply(context, options),
  };
}

function applyOptions(yargs: Argv): Argv {
  return massRemovalOption(dryRunOption(poolOptions(yargs)))
    .positional('plan', { type: 'string', demandOption: true, describe: 'the file that gc --out wrote' })
    .option('max-age', {
      type: 'string',
      requiresArg: true,
      default: '1d',
      describe: 'refuse a plan that was made longer ago',
    });
}

async function runApply(context: CommandContext, options: ApplyArguments): Promise<void> {
  const maxAgeMs = parseDuration(options.maxAge, '--max-age');
  const plan = await readPlan(resolve(context.cwd, options.plan));
  await withSession(context, options, async (session, fetcher) => {
    assertApplicable(plan, placeOf(session), { now: context.clock.now(), maxAgeMs });
    if (options.dryRun) return dryRun(session, plan, options);
    await withLock(session, { command: 'apply', fetcher }, async (locked) => {
      await refreshPool(session.connection, session.pool.name);
      await repairState(locked);
      await rescueTrashed(locked);
      const { collection, droppedCount } = await reduce(locked, plan);
      const { policy } = plan;
      const outcomes = await collectGarbage(locked, collection, {
        policy,
        trash: trashSettings(options),
        allowMassRemoval: options.allowMassRemoval,
      });
      finish(plan, droppedCount + outcomes.filter(({ result }) => result === 'spared').length);
    });
  });
}

async function dryRun(session: Session, plan: GcPlan, options: ApplyArguments): Promise<void> {
  await refreshToLook(session);
  await showRescuesOfTrash(session);
  const { collection, droppedCount } = await reduce(session, plan);
  for (const rescue of collection.rescued) showRescue(rescue, true, session.reporter);
  showRetirements(collection.retired, session.reporter);
  showVerdicts(doomedOf(collection.judgement), session.reporter, true);
  showDryTotals(collection, session);
  const refusal = refusalOf(collection, options);
  if (refusal !== undefined) throw refusal;
  finish(plan, droppedCount);
}

/** Plans once more by the policy of the plan, as of now, and leaves only what both have. */
async function reduce(
  session: Session,
  plan: GcPlan,
): Promise<{ readonly collection: Collection; readonly droppedCount: number }> {
  const fresh = await planGarbage(session, plan.policy);
  showChangedPremises(changedPremises(plan.premises, await premisesOf(session, fresh)), session.reporter);
  const { retired, verdicts, dropped } = reduceCollection(
    fresh,
    plan,
    await readMoment(session.stateDir, session.context.clock),
  );
  showDropped(dropped, session.reporter);
  const judged = new Set(verdicts.map(({ volume }) => volume.name));
  const rescued = fresh.rescued.filter(({ record }) => judged.has(record.volumeName));
  const collection = { ...fresh, retired, rescued, judgement: { ...fresh.judgement, verdicts } };
  return { collection, droppedCount: dropped.length };
}

/** @throws PartialError when not all of the plan was carried out. */
function finish({ steps }: GcPlan, droppedCount: number): void {
  if (droppedCount === 0) return;
  throw new PartialError(`${droppedCount} of the ${steps.length} step(s) of the plan were dropped`, {
    hint: `'poolkeeper gc --out' makes a plan of what is due now`,
  });
}
