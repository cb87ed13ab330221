import { type Identity, identityText } from '../core/identity.ts';
import { type KnownItem, knownItems } from '../core/orphans.ts';
import type { PoolVolume, Verdict } from '../core/sweep-plan.ts';
import type { Connection } from '../libvirt/connection.ts';
import type { Volume } from '../libvirt/volume.ts';
import type { Orphan } from '../report/orphans-report.ts';
import type { CommandContext } from './context.ts';
import { itemOfContent, itemsOfSize } from './identify-volume.ts';
import type { OrphanJudgement } from './judge-orphans.ts';
import { USABLE_POOLS } from './session.ts';

interface Sight {
  readonly context: CommandContext;
  readonly connection: Connection;
  /** Whether volumes of the size of a known image are read and compared with it. */
  readonly isContentRead: boolean;
}

/** Every verdict on a volume that nothing needs, with all there is to say about it. */
export async function describeOrphans(
  { verdicts, volumes, states }: OrphanJudgement,
  sight: Sight,
): Promise<readonly Orphan[]> {
  const items = [...states.values()].flatMap(({ images }) => knownItems(images));
  const now = sight.context.clock.now();
  const found: Orphan[] = [];
  for (const verdict of verdicts) {
    const state = stateOf(verdict);
    const volume = volumes.find(({ pool, name }) => pool === verdict.volume.pool && name === verdict.volume.name);
    const pool = states.get(verdict.volume.pool)?.pool;
    if (state === undefined || volume === undefined || pool === undefined) continue;
    found.push({
      volume,
      poolUuid: pool.uuid,
      state,
      lasting: lastingReason(volume, pool.type),
      ageMs: volume.modifiedAtMs === undefined ? undefined : Math.max(0, now - volume.modifiedAtMs),
      identified: await identify(volume, items, sight),
    });
  }
  return found;
}

async function identify(volume: Volume, items: readonly KnownItem[], sight: Sight): Promise<Orphan['identified']> {
  const sameSize = itemsOfSize(volume, items);
  if (!sight.isContentRead) return { by: 'size', identities: distinct(sameSize.map(({ identity }) => identity)) };
  const { connection, context } = sight;
  const same = await itemOfContent(volume, sameSize, { connection, signal: context.signal });
  return { by: 'digest', identities: same === undefined ? [] : [same.identity] };
}

/** Record and metadata file of an image tell the same. */
function distinct(identities: readonly Identity[]): readonly Identity[] {
  return [...new Map(identities.map((identity) => [identityText(identity), identity])).values()];
}

/** `undefined` for what something needs. */
function stateOf(verdict: Verdict): Orphan['state'] | undefined {
  if (verdict.action === 'delete') return 'orphaned';
  switch (verdict.reason.kind) {
    case 'volume type':
      return 'orphaned';
    case 'young':
    case 'unseen':
      return verdict.reason.kind;
    case 'needed':
    case 'grace':
      return undefined;
  }
}

/** The host itself may use devices for other things than domains, which libvirt knows nothing of. */
function lastingReason({ type }: PoolVolume, poolType: string): string | undefined {
  if (type !== 'file' && type !== 'block') return `it is a volume of type '${type}'`;
  return USABLE_POOLS.has(poolType) ? undefined : `its pool is of type '${poolType}'`;
}
