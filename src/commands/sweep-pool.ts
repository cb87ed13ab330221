import type { SweepOutcome, SweepPolicy } from '../core/sweep-plan.ts';
import { identityText } from '../core/identity.ts';
import { massRemoval } from '../core/mass-removal.ts';
import { IncompleteViewError, type PoolkeeperError } from '../errors.ts';
import { recordVerdicts } from '../execute/record-verdicts.ts';
import { recordDeletion } from '../execute/record-deletion.ts';
import { executeSweep } from '../execute/sweep.ts';
import { type Judgement, judgePool, type Scope } from '../gather/judge-pool.ts';
import { incompleteView, showSwept, showVerdicts } from '../report/sweep-report.ts';
import type { LockedSession, Session } from './session.ts';

export interface SweepArguments {
  readonly minAge: string;
  readonly allowMassRemoval: boolean;
}

type Periods = Omit<SweepPolicy, 'now'>;

/** How a sweep ended. */
export interface Swept {
  readonly outcomes: readonly SweepOutcome[];
  /** Why something that is garbage could not be deleted. */
  readonly refusal: PoolkeeperError | undefined;
}

/** Judges the pool and deletes what the deletion rule condemns. */
export async function sweepPool(session: LockedSession, periods: Periods, options: SweepArguments): Promise<Swept> {
  const { environment, reporter } = session;
  const judge = (scope?: Scope): Promise<Judgement> =>
    judgePool(session, { ...periods, now: session.context.clock.now() }, scope);
  const judgement = await judge();
  const unrecorded = await recordVerdicts(judgement, environment);
  if (unrecorded !== undefined) reporter.warning(unrecorded.message, unrecorded.hint);
  showVerdicts(judgement.verdicts, reporter, false);
  const refusal = options.allowMassRemoval ? undefined : tooMany(judgement);
  if (refusal !== undefined) return { outcomes: [], refusal };
  const outcomes = await executeSweep(judgement.verdicts, {
    environment,
    rejudge: async (only) => (await judge({ only })).verdicts,
    afterDelete: ({ name }) => recordDeletion(name, judgement.view, environment),
  });
  for (const outcome of outcomes) showSwept(outcome, reporter);
  return { outcomes, refusal: incompleteView(judgement.verdicts) };
}

/** Shows what a sweep would do once these volumes are out of the offer. */
export async function wouldSweep(session: Session, periods: Periods, retired: ReadonlySet<string>): Promise<void> {
  const { verdicts } = await judgePool(session, { ...periods, now: session.context.clock.now() }, { retired });
  showVerdicts(verdicts, session.reporter, true);
}

/** The guard against a mistake that would empty the pool. */
export function tooMany({ view, verdicts }: Judgement): PoolkeeperError | undefined {
  const held = [...view.managed.values()].map(({ identity, volume }) => ({
    identity,
    source: view.records.get(volume.name)?.provenance.source,
    isOffered: view.metadata.has(identityText(identity)),
  }));
  const doomed = verdicts.flatMap(({ action, volume }) =>
    action === 'delete' ? (view.managed.get(volume.name) ?? []) : [],
  );
  const reason = massRemoval(held, new Set(doomed.map(({ identity }) => identityText(identity))));
  if (doomed.length === 0 || reason === undefined) return undefined;
  return new IncompleteViewError(`nothing was deleted: ${reason}`, {
    hint: 'look at it with --dry-run; if it is right, run once with --allow-mass-removal',
  });
}
