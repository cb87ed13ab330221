import type { Lane } from './lane.ts';
import type { DomainHandle, List, PoolHandle, VolumeHandle } from './signatures.ts';

/** Looks a storage pool up for the time of `use`. */
export async function withPool<T>(lane: Lane, name: string, use: (pool: PoolHandle) => Promise<T>): Promise<T> {
  const { native, handle } = lane;
  const pool = await lane.call(`look up storage pool '${name}'`, native.storagePoolLookupByName, handle, name);
  return using(pool, native.storagePoolFree, use);
}

/** Looks a volume up for the time of `use`. */
export function withVolume<T>(
  lane: Lane,
  poolName: string,
  name: string,
  use: (volume: VolumeHandle, pool: PoolHandle) => Promise<T>,
): Promise<T> {
  return withPool(lane, poolName, async (pool) => {
    const { native } = lane;
    const what = `look up volume '${name}' in pool '${poolName}'`;
    const volume = await lane.call(what, native.storageVolLookupByName, pool, name);
    return using(volume, native.storageVolFree, (found) => use(found, pool));
  });
}

/** Frees `object` when `use` is done with it, however it ends. */
export async function using<H, T>(object: H, free: (object: H) => unknown, use: (object: H) => Promise<T>): Promise<T> {
  try {
    return await use(object);
  } finally {
    free(object);
  }
}

interface Listing<P, H> {
  readonly what: string;
  readonly list: List<P, H>;
  readonly parent: P;
  readonly flags?: number;
  readonly free: (object: H) => unknown;
}

/** Lists objects for the time of `use`. */
export async function withList<P, H, T>(
  lane: Lane,
  { what, list, parent, flags = 0, free }: Listing<P, H>,
  use: (objects: readonly H[]) => Promise<T>,
): Promise<T> {
  const objects = await lane.call(what, list, parent, flags);
  try {
    return await use(objects);
  } finally {
    for (const object of objects) free(object);
  }
}

/** Lists the domains that have all properties in `flags` (virConnectListAllDomainsFlags) for the time of `use`. */
export function withDomains<T>(
  lane: Lane,
  flags: number,
  use: (domains: readonly DomainHandle[]) => Promise<T>,
): Promise<T> {
  const { native, handle } = lane;
  const listing = { what: 'list domains', list: native.connectListAllDomains, parent: handle, flags };
  return withList(lane, { ...listing, free: native.domainFree }, use);
}

/** Lists the volumes of a storage pool for the time of `use`. */
export function withVolumes<T>(
  lane: Lane,
  poolName: string,
  use: (volumes: readonly VolumeHandle[]) => Promise<T>,
): Promise<T> {
  const { native } = lane;
  return withPool(lane, poolName, (parent) => {
    const listing = { what: `list the volumes of pool '${poolName}'`, list: native.storagePoolListAllVolumes, parent };
    return withList(lane, { ...listing, free: native.storageVolFree }, use);
  });
}
