import { formatDuration } from './duration.ts';
import { type Identity, identityText } from './identity.ts';
import type { CollectionPolicy, RetentionVerdict } from './retention.ts';
import { UsageError } from '../errors.ts';
import { isSameContent, type KeepReason, type PoolVolume, type Verdict, type VolumeContent } from './sweep-plan.ts';
import type { Edge, UseGraph } from './use-graph.ts';

/** Where a plan was made, and where alone it may be carried out. */
export interface PlanPlace {
  /** The host that poolkeeper ran on. */
  readonly host: string;
  /** The connection to libvirt. */
  readonly uri: string;
  readonly pool: { readonly name: string; readonly uuid: string };
}

/** What a plan rests on: texts that are equal as long as nothing changed, or digests of them. */
export interface Premises {
  /** The managed volumes of the pool. */
  readonly inventory: string;
  /** Who needs what. */
  readonly useGraph: string;
  /** What was last accepted from the sources. */
  readonly sources: string;
}

/** A volume as it was when the plan was made. */
export type PlannedVolume = VolumeContent & Pick<PoolVolume, 'name' | 'allocationBytes'>;

/** One thing that a collection was going to do. */
export interface PlanStep {
  readonly action: 'retire' | 'delete';
  readonly identity: Identity;
  readonly volume: PlannedVolume;
  /** Why retention selected the image, for those who read the plan. */
  readonly reason: string;
}

/** What a collection was going to do, to be looked at and carried out later. */
export interface GcPlan extends PlanPlace {
  /** The name and version of the program that made it. */
  readonly program: string;
  /** Milliseconds since the epoch. */
  readonly madeAt: number;
  readonly policy: CollectionPolicy;
  readonly premises: Premises;
  readonly steps: readonly PlanStep[];
}

/** What a source's memory says of the documents that were last accepted from it. */
export interface AcceptedSource {
  readonly url: string;
  readonly documents: Readonly<Record<string, { readonly sha256: string }>>;
}

/** The steps of a collection: retirements first, then deletions in their order. */
export function planSteps(
  retention: readonly RetentionVerdict[],
  retired: readonly RetentionVerdict[],
  doomed: readonly Verdict[],
  volumes: ReadonlyMap<string, PoolVolume>,
): readonly PlanStep[] {
  const byName = new Map(retention.map((verdict) => [verdict.image.volumeName, verdict]));
  const stepOf = (action: PlanStep['action'], name: string): readonly PlanStep[] => {
    const [volume, verdict] = [volumes.get(name), byName.get(name)];
    if (volume === undefined || verdict === undefined) return [];
    return [{ action, identity: verdict.image.identity, volume: plannedVolume(volume), reason: verdict.reason }];
  };
  return [
    ...retired.flatMap(({ image }) => stepOf('retire', image.volumeName)),
    ...doomed.flatMap(({ volume }) => stepOf('delete', volume.name)),
  ];
}

function plannedVolume(volume: PoolVolume): PlannedVolume {
  const { name, key, capacityBytes, allocationBytes, lengthBytes, modifiedAtMs } = volume;
  return { name, key, capacityBytes, allocationBytes, lengthBytes, modifiedAtMs };
}

/**
 * Texts of what a plan rests on, in which order does not matter. The digest of one tells whether anything in it changed.
 */
export function premiseTexts(
  volumes: readonly PoolVolume[],
  graph: UseGraph,
  sources: readonly AcceptedSource[],
): Premises {
  const inventory = volumes.map(({ name, key, capacityBytes, lengthBytes, modifiedAtMs }) => [
    name,
    key,
    String(capacityBytes),
    String(lengthBytes),
    modifiedAtMs,
  ]);
  const documents = sources.map(({ url, documents: accepted }) => [
    url,
    sortedLines(Object.entries(accepted).map(([address, { sha256 }]) => [address, sha256])),
  ]);
  return { inventory: sortedLines(inventory), useGraph: graphText(graph), sources: sortedLines(documents) };
}

function graphText({ nodes, roots, blindSpots }: UseGraph): string {
  return sortedLines([
    ...nodes.map(({ id, tokens, edges }) => ['node', id, tokens.toSorted(), edgesText(edges)]),
    ...roots.map(({ label, edges }) => ['root', label, edgesText(edges)]),
    ...blindSpots.map(({ what, holder, concerns }) => ['unseen', what, holder ?? null, concerns]),
  ]);
}

function edgesText(edges: readonly Edge[]): string {
  return sortedLines(edges.map(({ document, reference, tokens }) => [document, reference, tokens.toSorted()]));
}

function sortedLines(facts: readonly (readonly unknown[])[]): string {
  return facts
    .map((fact) => JSON.stringify(fact))
    .toSorted()
    .join('\n');
}

/** Clocks of one host that are set right now and then. */
const CLOCK_STEP_MS = 60_000;

/**
 * Makes sure that a plan is for this pool and not too old.
 *
 * @throws UsageError saying what it is for instead, or how old it is.
 */
export function assertApplicable(
  plan: GcPlan,
  here: PlanPlace,
  { now, maxAgeMs }: { readonly now: number; readonly maxAgeMs: number },
): void {
  const hint = `make a plan here and now with 'poolkeeper gc --out'`;
  const sameOptions = 'give the same --pool and --connect as when it was made, or make another';
  if (plan.pool.uuid !== here.pool.uuid)
    throw new UsageError(`the plan is for storage pool ${poolText(plan)}, not for ${poolText(here)}`, {
      hint: sameOptions,
    });
  if (plan.host !== here.host)
    throw new UsageError(`the plan was made on host '${plan.host}', and this is '${here.host}'`, { hint });
  if (plan.uri !== here.uri)
    throw new UsageError(`the plan was made for libvirt at ${plan.uri}, and this is ${here.uri}`, {
      hint: sameOptions,
    });
  const ageMs = now - plan.madeAt;
  if (ageMs > maxAgeMs)
    throw new UsageError(
      `the plan was made ${formatDuration(ageMs)} ago, at most ${formatDuration(maxAgeMs)} is allowed`,
      {
        hint: `${hint}, or allow more with --max-age`,
      },
    );
  if (ageMs < -CLOCK_STEP_MS)
    throw new UsageError('the plan was made in the future, by a clock that was wrong then or is wrong now', { hint });
}

function poolText({ pool: { name, uuid } }: PlanPlace): string {
  return `'${name}' (${uuid})`;
}

/** The premises that do not hold any more. */
export function changedPremises(then: Premises, now: Premises): readonly (keyof Premises)[] {
  const names = ['inventory', 'useGraph', 'sources'] as const;
  return names.filter((name) => then[name] !== now[name]);
}

/** Why a step of a plan is not carried out. */
export type DropReason =
  | { readonly kind: 'gone' }
  | { readonly kind: 'changed' }
  | { readonly kind: 'retention'; readonly verdict: RetentionVerdict }
  | { readonly kind: 'sweep'; readonly reason: KeepReason }
  | { readonly kind: 'cause'; readonly cause: string };

/** A step of a plan that is not carried out. */
export interface DroppedStep {
  readonly step: PlanStep;
  readonly reason: DropReason;
}

/** What is to be seen and decided now, by the policy of a plan. */
export interface FreshLook {
  /** The volumes of the pool by name. */
  readonly volumes: ReadonlyMap<string, PoolVolume>;
  readonly retention: readonly RetentionVerdict[];
  /** What a collection would take out of use now. */
  readonly retired: readonly RetentionVerdict[];
  /** Judges some volumes, by name, as if some of them were taken out of use and all others were to stay. */
  judge(only: ReadonlySet<string>, retired: ReadonlySet<string>): readonly Verdict[];
  /** Why a volume stays that is not even to be judged. */
  causeOf(volumeName: string): string | undefined;
}

/** What is left of a plan. */
export interface ReducedPlan {
  readonly retired: readonly RetentionVerdict[];
  /** On every volume that was to be deleted and is what it was, as far as it is to be judged at all. */
  readonly verdicts: readonly Verdict[];
  readonly dropped: readonly DroppedStep[];
}

/**
 * Reduces a plan to what would be decided now as well, about volumes that are what they were. Steps are dropped, never
 * added: nothing is judged that the plan does not name, and everything else counts as staying.
 */
export function reducePlan(steps: readonly PlanStep[], look: FreshLook): ReducedPlan {
  const unchanged = steps.filter(({ volume }) => changeOf(volume, look) === undefined);
  const named = (action: PlanStep['action']): ReadonlySet<string> =>
    new Set(unchanged.flatMap((step) => (step.action === action ? [step.volume.name] : [])));
  const toRetire = named('retire');
  const retired = look.retired.filter(({ image }) => toRetire.has(image.volumeName));
  const names = new Set(retired.map(({ image }) => image.volumeName));
  const verdicts = look.judge(named('delete'), names);
  const doomed = new Set(verdicts.flatMap(({ action, volume }) => (action === 'delete' ? [volume.name] : [])));
  const dropped = steps.flatMap((step): readonly DroppedStep[] => {
    const stands = (step.action === 'retire' ? names : doomed).has(step.volume.name);
    return stands && unchanged.includes(step) ? [] : [{ step, reason: reasonToDrop(step, look, verdicts) }];
  });
  return { retired, verdicts, dropped };
}

function changeOf(volume: PlannedVolume, { volumes }: FreshLook): DropReason | undefined {
  const now = volumes.get(volume.name);
  if (now === undefined) return { kind: 'gone' };
  return isSameContent(volume, now) ? undefined : { kind: 'changed' };
}

function reasonToDrop(
  { action, identity, volume }: PlanStep,
  look: FreshLook,
  verdicts: readonly Verdict[],
): DropReason {
  const change = changeOf(volume, look);
  if (change !== undefined) return change;
  const kept = verdicts.find((verdict) => verdict.volume.name === volume.name && verdict.action === 'keep');
  if (action === 'delete' && kept?.action === 'keep') return { kind: 'sweep', reason: kept.reason };
  const verdict = look.retention.find(({ image }) => image.volumeName === volume.name);
  if (verdict !== undefined && (action === 'retire' || verdict.action === 'retain'))
    return { kind: 'retention', verdict };
  return { kind: 'cause', cause: look.causeOf(volume.name) ?? `image ${identityText(identity)} is not to be judged` };
}
