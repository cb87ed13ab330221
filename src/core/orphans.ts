import { decodeVolumeName, type Identity, identityText } from './identity.ts';
import { isLocalImage } from './local-image.ts';
import type { Digest, ImageRecord } from './record.ts';
import { planSweep, type PoolVolume, type SweepPolicy, type Verdict } from './sweep-plan.ts';
import type { FlatItem } from './filter.ts';
import type { GraphNode, UseGraph } from './use-graph.ts';

/** What is written down about the images of one pool. */
export interface KnownImages {
  /** By identity text. */
  readonly metadata: ReadonlyMap<string, { readonly identity: Identity; readonly item: FlatItem }>;
  /** By volume name. */
  readonly records: ReadonlyMap<string, ImageRecord>;
  /** Why nothing can be said about an image, by identity text. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** Names of volumes that an interrupted run has begun to fill. */
  readonly unfinished: ReadonlySet<string>;
}

/** A volume that may be an orphan. */
export interface Suspect {
  readonly volume: PoolVolume;
  readonly node: GraphNode;
  /** Why it is none, whatever the use graph says. */
  readonly cause: string | undefined;
}

/** Why a volume is no orphan although nothing may need it: poolkeeper keeps house over it. */
export function causeToKeep(
  { name, isNameExact }: { readonly name: string; readonly isNameExact: boolean },
  images: KnownImages,
): string | undefined {
  if (!isNameExact) return 'its name is not UTF-8';
  if (images.unfinished.has(name)) return 'an interrupted sync has begun to fetch it';
  const record = images.records.get(name);
  if (record !== undefined && record.status !== 'deleted')
    return `image ${identityText(record.identity)} is ${record.status}`;
  const identity = decodeVolumeName(name);
  if (identity === undefined) return undefined;
  if (isLocalImage(identity)) return `the name of image ${identityText(identity)} says that a person made it`;
  const key = identityText(identity);
  return images.metadata.has(key) ? `image ${key} is offered` : images.unreadable.get(key);
}

/**
 * Judges suspects by the deletion rule, whoever made them. One without a time of change counts as changed just now. An
 * orphan does not protect what it stands on, as long as it is judged along with it.
 *
 * @param isJudged which suspects may go at all; the others are roots
 */
export function judgeOrphans(
  suspects: readonly Suspect[],
  graph: UseGraph,
  policy: Omit<SweepPolicy, 'graceMs'>,
  isJudged: (volume: PoolVolume) => boolean = () => true,
): readonly Verdict[] {
  // The same file may be a volume of several pools, of which only one keeps house over it.
  const causes = new Map(
    suspects.flatMap(({ node, cause }) => (cause === undefined ? [] : [[node.id, cause] as const])),
  );
  const candidates = suspects
    .filter(({ volume, node }) => !causes.has(node.id) && isJudged(volume))
    .map(({ volume, node }) => ({ volume, node, lastNeededAt: volume.modifiedAtMs ?? policy.now }));
  return planSweep(candidates, graph, { ...policy, graceMs: 0 }, causes);
}

/** The pools of which more than half would go, by name; a guard against a mistake that would empty them. */
export function massRemovals(doomed: readonly PoolVolume[], volumes: readonly PoolVolume[]): readonly string[] {
  const count = (list: readonly PoolVolume[], name: string): number => list.filter(({ pool }) => pool === name).length;
  const pools = [...new Set(doomed.map(({ pool }) => pool))];
  return pools.filter((pool) => count(doomed, pool) * 2 > count(volumes, pool));
}

/** An item of a stream of which size and digest are known. */
export interface KnownItem {
  readonly identity: Identity;
  readonly sizeBytes: bigint;
  readonly digest: Digest;
}

/** Every item that records and metadata files describe, those of images that are gone included. */
export function knownItems({ metadata, records }: KnownImages): readonly KnownItem[] {
  const recorded = [...records.values()].flatMap(({ identity, provenance: { sizeBytes, digest } }) =>
    sizeBytes === undefined || digest === undefined ? [] : [{ identity, sizeBytes, digest }],
  );
  const offered = [...metadata.values()].flatMap(({ identity, item }) => {
    const { size = '', sha256 = '' } = item;
    if (!/^\d+$/.test(size) || !/^[0-9a-f]{64}$/i.test(sha256)) return [];
    const digest: Digest = { algorithm: 'sha256', hex: sha256.toLowerCase() };
    return [{ identity, sizeBytes: BigInt(size), digest }];
  });
  return [...recorded, ...offered];
}
