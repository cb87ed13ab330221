import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import {
  type AcceptedSource,
  type GcPlan,
  type PlanPlace,
  planSteps,
  type Premises,
  premiseTexts,
  type ReducedPlan,
  reducePlan,
} from '../core/gc-plan.ts';
import type { CollectionPolicy } from '../core/retention.ts';
import type { PoolVolume } from '../core/sweep-plan.ts';
import { PoolkeeperError } from '../errors.ts';
import { judgeSight } from '../gather/judge-pool.ts';
import { findSeen } from '../gather/pool-nodes.ts';
import { causeToStay } from '../gather/sweep-candidates.ts';
import type { JudgementMoment } from '../state/lived-count.ts';
import { readSourceMemory } from '../state/source-memory.ts';
import { sourcesOf } from './collect-garbage.ts';
import type { Session } from './session.ts';
import { type Collection, doomedOf } from './sweep-pool.ts';

/** Writes down what a collection would do, and what that rests on. */
export async function toPlan(session: Session, collection: Collection, policy: CollectionPolicy): Promise<GcPlan> {
  const { retention, retired, judgement } = collection;
  return {
    program: `poolkeeper ${session.context.version}`,
    madeAt: session.context.clock.now(),
    ...placeOf(session),
    policy,
    premises: await premisesOf(session, collection),
    steps: planSteps(retention, retired, doomedOf(judgement), volumesOf(collection)),
  };
}

/** Where this session works. */
export function placeOf({ connection, pool }: Session): PlanPlace {
  return { host: hostname(), uri: connection.uri, pool: { name: pool.name, uuid: pool.uuid } };
}

/** The digests of what a collection rests on. */
export async function premisesOf(session: Session, { sight }: Collection): Promise<Premises> {
  const { view, gathered } = sight;
  const managed = gathered.volumes.flatMap(({ volume }) =>
    volume.pool === view.pool.name && view.managed.has(volume.name) ? [volume] : [],
  );
  const texts = premiseTexts(managed, gathered.graph, await acceptedSources(session, sourcesOf(view.records)));
  const { inventory, useGraph, sources } = texts;
  return { inventory: sha256(inventory), useGraph: sha256(useGraph), sources: sha256(sources) };
}

/** What is left of a plan under a collection that was planned now by the plan's policy. */
export function reduceCollection(
  { sight, retention, retired }: Collection,
  { steps, policy }: GcPlan,
  moment: JudgementMoment,
): ReducedPlan {
  const { view, gathered, elsewhere } = sight;
  const { graceMs, minAgeMs } = policy;
  return reducePlan(steps, {
    volumes: volumesOf({ sight }),
    retention,
    retired,
    judge: (only, names) => judgeSight(sight, { ...moment, graceMs, minAgeMs }, { only, retired: names }).verdicts,
    causeOf: (name) => {
      const managed = view.managed.get(name);
      const id = findSeen(gathered.volumes, view.pool.name, name)?.node.id;
      return elsewhere.get(id ?? '') ?? (managed && causeToStay(managed, view));
    },
  });
}

function volumesOf({ sight: { gathered, view } }: Pick<Collection, 'sight'>): ReadonlyMap<string, PoolVolume> {
  const own = gathered.volumes.filter(({ volume }) => volume.pool === view.pool.name);
  return new Map(own.map(({ volume }) => [volume.name, volume]));
}

/** A memory that cannot be read counts as none: whatever is read instead next time is a change. */
async function acceptedSources({ paths }: Session, sources: ReadonlySet<string>): Promise<readonly AcceptedSource[]> {
  const accepted: AcceptedSource[] = [];
  for (const source of sources) {
    try {
      const memory = await readSourceMemory(paths.sources, source);
      if (memory !== undefined) accepted.push(memory);
    } catch (error) {
      if (!(error instanceof PoolkeeperError)) throw error;
    }
  }
  return accepted;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
