import type { CollectionPolicy } from '../core/retention.ts';
import type { ImageRecord } from '../core/record.ts';
import type { SweepOutcome } from '../core/sweep-plan.ts';
import { freedAt } from '../core/trash.ts';
import { PartialError } from '../errors.ts';
import { sourceOf } from '../gather/stock.ts';
import { showRun, showTotals } from '../report/retention-report.ts';
import { readRecords } from '../state/records.ts';
import type { TrashSettings } from './retention-options.ts';
import { goneByMemory } from './gone-products.ts';
import type { LockedSession, Session } from './session.ts';
import { collect, type Collection, countWaiting, doomedOf, planCollection } from './sweep-pool.ts';

/** Plans a collection that no sync comes before: what its sources offer is known from the last one. */
export async function planGarbage(session: Session, policy: CollectionPolicy): Promise<Collection> {
  const { records } = await readRecords(session.paths.records);
  const isGone = await goneByMemory(session, sourcesOf(records));
  return planCollection(session, { policy, isGone, isSpared: () => false, withdrawn: new Set() });
}

/** The sources that images came from, by address without credentials. */
export function sourcesOf(records: ReadonlyMap<string, ImageRecord>): ReadonlySet<string> {
  return new Set([...records.values()].flatMap((record) => sourceOf(record.identity, record) ?? []));
}

/** Says what a collection would free. */
export function showDryTotals(collection: Collection, { reporter }: Session): void {
  const freedBytes = sizeOf(doomedOf(collection.judgement));
  showTotals({ heldBytes: heldBytes(collection), freedBytes }, true, reporter);
}

/**
 * Carries a collection out and sums it up.
 *
 * @throws PartialError when a deletion failed; the sweep's refusal.
 */
export async function collectGarbage(
  session: LockedSession,
  collection: Collection,
  options: {
    readonly policy: CollectionPolicy;
    readonly trash: TrashSettings;
    readonly allowMassRemoval: boolean;
  },
): Promise<readonly SweepOutcome[]> {
  const { outcomes, refusal, retired } = await collect(session, collection, options);
  const { reporter, environment, trashForMs } = session;
  showRun(environment.runId, countWaiting(retired, outcomes), reporter);
  const deleted = outcomes.flatMap((outcome) => (outcome.result === 'deleted' ? [outcome] : []));
  const trashed = deleted.flatMap(({ trashed: entry }) => (entry === undefined ? [] : [entry]));
  const totals = { heldBytes: heldBytes(collection), freedBytes: sizeOf(deleted) };
  const freedOn =
    trashed.length === 0 ? undefined : Math.max(...trashed.map((entry) => freedAt(entry, { keepMs: trashForMs })));
  showTotals({ ...totals, freedOn }, false, reporter);
  const failed = outcomes.filter(({ result }) => result === 'failed').length;
  if (failed > 0) throw new PartialError(`${failed} of ${outcomes.length} volume(s) could not be deleted`);
  if (refusal !== undefined) throw refusal;
  return outcomes;
}

function heldBytes({ retention }: Collection): bigint {
  return sizeOf(retention.map(({ image }) => ({ volume: { allocationBytes: image.sizeBytes } })));
}

function sizeOf(items: readonly { readonly volume: { readonly allocationBytes: bigint } }[]): bigint {
  let sum = 0n;
  for (const { volume } of items) sum += volume.allocationBytes;
  return sum;
}
