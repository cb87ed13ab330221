import type { BlindSpot } from '../core/reference.ts';
import { PoolkeeperError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import { isConnectionLost } from '../libvirt/error-codes.ts';
import { lookupPool, type StoragePool } from '../libvirt/storage-pool.ts';
import type { Volume } from '../libvirt/volume.ts';
import { missingRight, readLeaseRight, sharedStorage, type Sharing } from './deletion-right.ts';
import { shellWord } from '../util/shell.ts';
import { compareVolumes, FILE_POOLS, otherHost, type PoolLocality } from './locality.ts';

/** Where the storage pools of a connection are, seen from this process. */
export interface Places {
  /** Whether paths that libvirt shows are looked at on this host. */
  readonly isLocal: boolean;
  /** By the name of the pool; pools that are not active, or hold no files, are not among them. */
  readonly pools: ReadonlyMap<string, PoolLocality>;
}

/** A pool that nothing is deleted from needs no more than not to contradict. */
const ENOUGH_FOR_OTHERS = 4;

/**
 * Finds out whether a connection is about this host. What decides is the name that the daemon has for its host and the files
 * of its pools, never the spelling of the address: a socket can be forwarded, and a daemon can run in a container.
 *
 * @param judged the pools that something may be deleted from, by name; `undefined`: all.
 */
export async function findPlaces(
  connection: Connection,
  pools: readonly StoragePool[],
  judged: ReadonlySet<string> | undefined,
): Promise<Places> {
  const candidates = pools.filter(({ isActive, type }) => isActive && FILE_POOLS.has(type));
  const why = await otherHost(connection);
  if (why !== undefined) {
    const elsewhere = { is: 'elsewhere', test: 'host name', why } as const;
    return { isLocal: false, pools: new Map(candidates.map(({ name }) => [name, elsewhere])) };
  }
  const isJudged = ({ name }: StoragePool): boolean => judged?.has(name) ?? true;
  const found = new Map<string, PoolLocality>();
  for (const pool of candidates) {
    found.set(pool.name, await localityOf(connection, pool, isJudged(pool) ? undefined : ENOUGH_FOR_OTHERS));
  }
  const chosen = candidates.filter(isJudged).map(({ name }) => found.get(name)?.is);
  const isContradicted = [...found.values()].some(({ is }) => is === 'elsewhere');
  return { isLocal: chosen.includes('here') || !isContradicted, pools: found };
}

async function localityOf(
  connection: Connection,
  pool: StoragePool,
  enough: number | undefined,
): Promise<PoolLocality> {
  try {
    return await compareVolumes(connection, pool, enough);
  } catch (error) {
    if (!(error instanceof PoolkeeperError)) throw error;
    // A pool of too many volumes is refused by the numbers of a lost connection: whoever still answers is not lost.
    if (isConnectionLost(error)) await lookupPool(connection, pool.name);
    return { is: 'unproven', why: error.message };
  }
}

/** Finds what forbids deleting in each pool, whoever needs its volumes: blind spots of the kinds that no force overrides. */
export async function findHindrances(
  places: Places,
  {
    pools,
    volumes,
    judged,
    sharing = new Map(),
  }: {
    readonly pools: readonly StoragePool[];
    readonly volumes: readonly Volume[];
    readonly judged: ReadonlySet<string> | undefined;
    readonly sharing: Sharing | undefined;
  },
): Promise<readonly BlindSpot[]> {
  const spots: BlindSpot[] = [];
  const right = readLeaseRight();
  for (const pool of pools) {
    const locality = places.pools.get(pool.name);
    if (locality === undefined) continue;
    // Paths are compared as those of this host, so what stands on what in this pool is not seen.
    if (places.isLocal && locality.is === 'elsewhere') spots.push(foreignPool(pool, locality.why));
    const own = volumes.filter((volume) => volume.pool === pool.name);
    if (!(judged?.has(pool.name) ?? true)) continue;
    // Without volumes there is nothing to delete, as in a pool that went while it was looked at; one that was empty then may
    // have volumes by now.
    const hasNothing = own.length === 0 && (locality.is === 'empty' || locality.is === 'unproven');
    const isHere = places.isLocal && (locality.is === 'here' || hasNothing);
    if (!isHere) spots.push(remotePool(pool, locality));
    // A pool that is only unproven may well be here: deleting by name needs the right all the same.
    const mayBeHere = places.isLocal && locality.is !== 'elsewhere';
    if (mayBeHere) spots.push(...(await missingRight(pool, own, right)));
    spots.push(...(await sharedStorage(pool, sharing, mayBeHere)));
  }
  return spots;
}

/** What a pool is whose files are not proven to be those of this host. */
function remotePool({ name }: StoragePool, locality: PoolLocality): BlindSpot {
  return {
    kind: 'remote',
    what: `who has files of storage pool '${name}' open`,
    cause: `they are not proven to be files of this host: ${whyNot(locality)}`,
    remedy: "run poolkeeper on the host that has them; 'poolkeeper delete IMAGE --now' deletes one image all the same",
    concerns: { pool: name },
  };
}

/** Why the files of a pool are not proven to be those of this host. */
export function whyNot(locality: PoolLocality): string {
  switch (locality.is) {
    case 'elsewhere':
    case 'unproven':
      return locality.why;
    case 'empty':
      return 'there was no volume to compare';
    case 'here':
      return 'another pool of the same libvirt is not of this host';
  }
}

function foreignPool({ name }: StoragePool, why: string): BlindSpot {
  return {
    what: `storage pool '${name}'`,
    cause: `its files are not those of this host: ${why}`,
    remedy: `let libvirt and poolkeeper see the same files, or stop the pool, then: virsh pool-undefine ${shellWord(name)}`,
    concerns: 'everything',
  };
}
