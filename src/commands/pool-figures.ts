import { readTrash } from '../app/trash.ts';
import { freedAt, trashBytes } from '../core/trash.ts';
import type { ImageStatus } from '../core/lifecycle.ts';
import type { SweepPolicy, Verdict } from '../core/sweep-plan.ts';
import { judgeSight, type PoolSight, seePool } from '../gather/judge-pool.ts';
import type { PoolFigures } from '../report/metrics-text.ts';
import { readMoment } from '../state/lived-count.ts';
import { readSourceMemories, type SourceMemory } from '../state/source-memory.ts';
import { offeredImages } from './offered-images.ts';
import type { Session } from './session.ts';

/** Looks at everything afresh and sums it up. Changes nothing and needs no lock. */
export async function gatherPoolFigures(
  session: Session,
  periods: Pick<SweepPolicy, 'graceMs' | 'minAgeMs'>,
): Promise<PoolFigures> {
  const { pool, paths, context, trashForMs } = session;
  const trash = await readTrash({ pool, uid: context.uid }, paths);
  const sight = await seePool(session);
  const { view, gathered } = sight;
  const moment = await readMoment(session.stateDir, context.clock);
  const { verdicts } = judgeSight(sight, { ...periods, ...moment });
  return {
    pool: pool.name,
    images: countByStatus(sight),
    offeredImages: offeredImages(view).length,
    heldBytes: sizeOf(
      gathered.volumes.filter(({ volume }) => volume.pool === pool.name && view.managed.has(volume.name)),
    ),
    reclaimableBytes: sizeOf(verdicts.filter(isUnneeded)),
    trashBytes: trashBytes(trash),
    trashFreedAt: trash.map((entry) => freedAt(entry, { keepMs: trashForMs })).toSorted((a, b) => b - a)[0],
    blindSpots: gathered.graph.blindSpots.length,
    documents: new Map((await readSourceMemories(paths.sources)).flatMap(newestDocument)),
  };
}

function countByStatus({ view }: PoolSight): ReadonlyMap<ImageStatus, number> {
  const counts = new Map<ImageStatus, number>();
  for (const { status } of view.records.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
  return counts;
}

/** What only time keeps is to be had soon. */
function isUnneeded(verdict: Verdict): boolean {
  return verdict.action === 'delete' || verdict.reason.kind === 'grace' || verdict.reason.kind === 'young';
}

function newestDocument({ url, documents }: SourceMemory): readonly (readonly [string, number])[] {
  const times = Object.values(documents).map(({ updatedAtMs }) => updatedAtMs);
  return times.length === 0 ? [] : [[url, Math.max(...times)]];
}

function sizeOf(items: readonly { readonly volume: { readonly allocationBytes: bigint } }[]): bigint {
  let bytes = 0n;
  for (const { volume } of items) bytes += volume.allocationBytes;
  return bytes;
}
