import { EXIT, PartialError, type PoolkeeperError, IntegrityError } from '../errors.ts';
import type { StepOutcome } from '../execute/sync-steps.ts';
import type { ReadSource } from './read-source.ts';
import type { Session } from './session.ts';
import type { Swept } from './sweep-pool.ts';

/** How everything ended that a sync did. */
export interface SyncResult {
  readonly session: Session;
  readonly source: ReadSource;
  readonly outcomes: readonly StepOutcome[];
  readonly swept: Swept | undefined;
}

/** Failures that need the administrator, however much else was done. */
const URGENT: readonly number[] = [EXIT.trust, EXIT.noSpace];

/**
 * Sums a sync up.
 *
 * @throws the failure itself if all that was wanted failed for one reason, or if it needs the administrator; PartialError if
 * something else was done; the sweep's refusal if only that is left.
 */
export async function finish({ session, source, outcomes, swept }: SyncResult): Promise<void> {
  const refused = source.selection.refused.map(
    ({ identity, reason }) =>
      new IntegrityError(`cannot take image ${identity.product} ${identity.version}: ${reason}`),
  );
  for (const error of refused) session.reporter.error(error);
  const failures = [...refused, ...outcomes.flatMap(({ error }) => error ?? []), ...sweepFailures(swept)];
  if (swept?.refusal !== undefined) {
    if (failures.length === 0) throw swept.refusal;
    session.reporter.error(swept.refusal);
  }
  const [first] = failures;
  if (first === undefined) return;
  throw summary(failures, first, source.selection.wanted.length + refused.length);
}

function sweepFailures(swept: Swept | undefined): readonly PoolkeeperError[] {
  const failures = swept?.outcomes.flatMap((outcome) => {
    if (outcome.result === 'failed') return [outcome.error];
    return outcome.result === 'deleted' ? (outcome.unrecorded ?? []) : [];
  });
  return failures ?? [];
}

/** Every failure was shown when it happened; this is the last line and the exit status. */
function summary(failures: readonly PoolkeeperError[], first: PoolkeeperError, wanted: number): PoolkeeperError {
  const urgent = failures.find(({ exitStatus }) => URGENT.includes(exitStatus));
  const isUniform = failures.every(({ exitStatus }) => exitStatus === first.exitStatus);
  const message = `${failures.length} of ${Math.max(wanted, failures.length)} images failed`;
  const decisive = urgent ?? (isUniform && failures.length >= wanted ? first : undefined);
  return new PartialError(message, decisive === undefined ? {} : { exitStatus: decisive.exitStatus });
}
