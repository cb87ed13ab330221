import { EXIT, PartialError, type PoolkeeperError, IntegrityError, TrustError } from '../errors.ts';
import type { RefusedItem } from '../core/selection.ts';
import type { Session } from './session.ts';
import type { Swept } from './sweep-pool.ts';
import { outcomesOf, type SourceResult } from './sync-sources.ts';

/** How everything ended that a sync did. */
export interface SyncResult {
  readonly session: Session;
  readonly results: readonly SourceResult[];
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
export function finish({ session, results, swept }: SyncResult): void {
  const selections = results.flatMap(({ round }) => round?.source.selection ?? []);
  const refused = selections.flatMap((selection) => selection.refused.map(refusal));
  for (const error of refused) session.reporter.error(error);
  const images = [...refused, ...outcomesOf(results).flatMap(({ error }) => error ?? []), ...sweepFailures(swept)];
  const sources = results.flatMap(({ error }) => error ?? []);
  const failures = [...sources, ...images];
  if (swept?.refusal !== undefined) {
    if (failures.length === 0) throw swept.refusal;
    session.reporter.error(swept.refusal);
  }
  const [first] = failures;
  if (first === undefined) return;
  const wanted = refused.length + selections.flatMap((selection) => selection.wanted).length;
  const counts = [countText(sources.length, results.length, 'sources'), countText(images.length, wanted, 'images')];
  const message = `${counts.filter((text) => text !== undefined).join(' and ')} failed`;
  throw summary(failures, message, { first, most: wanted + sources.length });
}

function refusal({ identity, reason, isReserved }: RefusedItem): PoolkeeperError {
  const message = `cannot take image ${identity.product} ${identity.version}: ${reason}`;
  if (isReserved !== true) return new IntegrityError(message);
  return new TrustError(message, {
    hint: `ask the publisher, or leave it out by the filter 'product_name!=${identity.product}'`,
  });
}

function countText(failed: number, all: number, what: string): string | undefined {
  return failed === 0 ? undefined : `${failed} of ${Math.max(all, failed)} ${what}`;
}

function sweepFailures(swept: Swept | undefined): readonly PoolkeeperError[] {
  const failures = swept?.outcomes.flatMap((outcome) => {
    if (outcome.result === 'failed') return [outcome.error];
    return outcome.result === 'deleted' ? (outcome.unrecorded ?? []) : [];
  });
  return failures ?? [];
}

/** Every failure was shown when it happened; this is the last line and the exit status. */
function summary(
  failures: readonly PoolkeeperError[],
  message: string,
  { first, most }: { readonly first: PoolkeeperError; readonly most: number },
): PoolkeeperError {
  const urgent = failures.find(({ exitStatus }) => URGENT.includes(exitStatus));
  const isUniform = failures.every(({ exitStatus }) => exitStatus === first.exitStatus);
  const decisive = urgent ?? (isUniform && failures.length >= most ? first : undefined);
  return new PartialError(message, decisive === undefined ? {} : { exitStatus: decisive.exitStatus });
}
