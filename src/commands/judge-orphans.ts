import { causeToKeep, judgeOrphans, type KnownImages, type Suspect } from '../core/orphans.ts';
import type { Clock } from '../core/ports.ts';
import type { PoolVolume, Verdict } from '../core/sweep-plan.ts';
import { identityText } from '../core/identity.ts';
import { gatherPoolView, type PoolView } from '../gather/pool-view.ts';
import { type GatheredGraph, gatherUseGraph, type GraphSight } from '../gather/use-graph.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import type { Volume } from '../libvirt/volume.ts';
import { readOpenIntents } from '../state/journal.ts';
import { readMoment } from '../state/lived-count.ts';
import type { PoolStatePaths } from '../state/paths.ts';

/** Which pools to look for orphans in, and how to see them. */
export interface OrphanSearch extends GraphSight {
  /** By name. */
  readonly pools: ReadonlySet<string>;
  readonly minAgeMs: number;
  /** Where the state of all pools lies. */
  readonly stateDir: string;
  readonly clock: Clock;
  pathsOf(pool: StoragePool): PoolStatePaths;
}

/** What was seen, and what is to become of every volume that may be an orphan. */
export interface OrphanJudgement {
  readonly verdicts: readonly Verdict[];
  /** All volumes of the pools that were searched. */
  readonly volumes: readonly Volume[];
  /** Of every active pool, by name. */
  readonly states: ReadonlyMap<string, PoolState>;
  /** Judges again, without looking again, as if only some volumes could go. */
  rejudge(isJudged: (volume: PoolVolume) => boolean): readonly Verdict[];
}

/** An active pool, and what is written down about it. */
export interface PoolState {
  readonly pool: StoragePool;
  readonly paths: PoolStatePaths;
  readonly view: PoolView;
  readonly images: KnownImages;
}

/** Looks at everything afresh and judges the volumes of the pools. Changes nothing and needs no lock. */
export async function searchOrphans(search: OrphanSearch): Promise<OrphanJudgement> {
  const moment = await readMoment(search.stateDir, search.clock);
  const gathered = await gatherUseGraph({ ...search, judged: search.pools });
  const states = new Map<string, PoolState>();
  for (const pool of gathered.pools) if (pool.isActive) states.set(pool.name, await readState(pool, gathered, search));
  const suspects = gathered.volumes.flatMap(({ volume, node }): readonly Suspect[] => {
    const images = states.get(volume.pool)?.images;
    const cause = images === undefined ? 'its pool stopped meanwhile' : causeToKeep(volume, images);
    return search.pools.has(volume.pool) || cause !== undefined ? [{ volume, node, cause }] : [];
  });
  const policy = { ...moment, minAgeMs: search.minAgeMs };
  const rejudge: OrphanJudgement['rejudge'] = (isJudged) => judgeOrphans(suspects, gathered.graph, policy, isJudged);
  return { verdicts: rejudge(() => true), volumes: volumesIn(gathered, search.pools), states, rejudge };
}

async function readState(pool: StoragePool, gathered: GatheredGraph, search: OrphanSearch): Promise<PoolState> {
  const paths = search.pathsOf(pool);
  const view = await gatherPoolView(pool, volumesIn(gathered, new Set([pool.name])), paths);
  const damaged = view.damaged.map(({ identity, error }) => [identityText(identity), error.message] as const);
  const intents = await readOpenIntents(paths.journal);
  const unfinished = intents.flatMap(({ intent }) => (intent.kind === 'fetch' ? [intent.volumeName] : []));
  const { metadata, records, unknown } = view;
  const images = { metadata, records, unreadable: new Map([...unknown, ...damaged]), unfinished: new Set(unfinished) };
  return { pool, paths, view, images };
}

function volumesIn({ volumes }: GatheredGraph, pools: ReadonlySet<string>): readonly Volume[] {
  return volumes.map(({ volume }) => volume).filter(({ pool }) => pools.has(pool));
}
