import { setTimeout as delay } from 'node:timers/promises';
import { LibvirtError } from '../errors.ts';
import { hasNumber, isNoStoragePool, VIR_ERR } from './error-codes.ts';
import { withList, withPool } from './handles.ts';
import { elementsAt, escapeXml, parseXml, textAt } from './xml-text.ts';
import type { Connection } from './connection.ts';
import type { Lane } from './lane.ts';
import type { PoolHandle } from './signatures.ts';

/** A storage pool as libvirt describes it. */
export interface StoragePool {
  readonly name: string;
  readonly uuid: string;
  /** libvirt's word: `dir`, `logical`, `rbd`, … */
  readonly type: string;
  readonly isActive: boolean;
  /** The directory on the host; pools of networked volumes have none. */
  readonly targetPath: string | undefined;
  /** What the pool is made of: partitions, physical volumes. They may be volumes of other pools. */
  readonly sourceDevices: readonly string[];
  readonly xml: string;
}

export interface PoolSpace {
  readonly capacityBytes: bigint;
  readonly allocationBytes: bigint;
  readonly availableBytes: bigint;
}

/** Waits between attempts while the pool has asynchronous jobs, about three seconds in all. */
const BUSY_DELAYS_MS = [50, 100, 200, 400, 800, 1600];

/** All storage pools of the connection, active or not. */
export function listPools(connection: Connection): Promise<StoragePool[]> {
  return connection.run((lane) => {
    const { native, handle: parent } = lane;
    const listing = { what: 'list storage pools', list: native.connectListAllStoragePools, parent };
    return withList(lane, { ...listing, free: native.storagePoolFree }, async (handles) => {
      const pools = [];
      for (const handle of handles) pools.push(await readPoolUnlessGone(lane, handle));
      return pools.filter((pool) => pool !== undefined);
    });
  });
}

/** @throws LibvirtError for which `isNoStoragePool` holds when there is no such pool. */
export function lookupPool(connection: Connection, name: string): Promise<StoragePool> {
  return connection.run((lane) => withPool(lane, name, (handle) => readPool(lane, handle)));
}

/** The pool's space as of its last refresh. */
export function poolSpace(connection: Connection, name: string): Promise<PoolSpace> {
  return connection.run((lane) =>
    withPool(lane, name, async (handle) => {
      const info = await lane.call(`read the space of pool '${name}'`, lane.native.storagePoolGetInfo, handle);
      return {
        capacityBytes: BigInt(info.capacity),
        allocationBytes: BigInt(info.allocation),
        availableBytes: BigInt(info.available),
      };
    }),
  );
}

/** Defines a persistent pool, or redefines the one of that name and UUID. */
export function definePool(connection: Connection, xml: string): Promise<void> {
  return connection.run(async (lane) => {
    const { native, handle } = lane;
    const pool = await lane.call('define a storage pool', native.storagePoolDefineXML, handle, xml, 0);
    native.storagePoolFree(pool);
  });
}

/** Makes what the pool stands on: for a `dir` pool its directory. */
export function buildPool(connection: Connection, name: string): Promise<void> {
  return act(connection, name, (lane, pool) =>
    lane.call(`build pool '${name}'`, lane.native.storagePoolBuild, pool, 0),
  );
}

export function startPool(connection: Connection, name: string): Promise<void> {
  return act(connection, name, (lane, pool) =>
    lane.call(`start pool '${name}'`, lane.native.storagePoolCreate, pool, 0),
  );
}

/** Makes the pool inactive; volumes and definition stay. */
export function stopPool(connection: Connection, name: string): Promise<void> {
  return act(connection, name, (lane, pool) =>
    whenNotBusy(lane, pool, () => lane.call(`stop pool '${name}'`, lane.native.storagePoolDestroy, pool)),
  );
}

/** Removes the directory of an inactive `dir` pool, if it is empty. */
export function deletePool(connection: Connection, name: string): Promise<void> {
  return act(connection, name, (lane, pool) =>
    lane.call(`delete the directory of pool '${name}'`, lane.native.storagePoolDelete, pool, 0),
  );
}

/** Forgets an inactive pool; its volumes stay. */
export function undefinePool(connection: Connection, name: string): Promise<void> {
  return act(connection, name, (lane, pool) =>
    lane.call(`undefine pool '${name}'`, lane.native.storagePoolUndefine, pool),
  );
}

export function setPoolAutostart(connection: Connection, name: string, isAutostarted: boolean): Promise<void> {
  const what = `set autostart of pool '${name}'`;
  return act(connection, name, (lane, pool) =>
    lane.call(what, lane.native.storagePoolSetAutostart, pool, isAutostarted ? 1 : 0),
  );
}

/**
 * Reads the pool anew from storage.
 *
 * @throws LibvirtError when that fails. libvirt may have STOPPED the pool then; the message says so.
 */
export function refreshPool(connection: Connection, name: string): Promise<void> {
  return act(connection, name, async (lane, pool) => {
    try {
      await whenNotBusy(lane, pool, () => lane.call(`refresh pool '${name}'`, lane.native.storagePoolRefresh, pool, 0));
    } catch (error) {
      if (error instanceof LibvirtError && !(await isActive(lane, pool))) throw stoppedByRefresh(name, error);
      throw error;
    }
  });
}

function stoppedByRefresh(name: string, cause: LibvirtError): LibvirtError {
  const { virErrorNumber, virErrorDomain } = cause;
  const hint = `mend what the message names, then start the pool again with 'virsh pool-start ${name}'`;
  const message = `cannot refresh pool '${name}', and libvirt has stopped it: ${cause.message}`;
  return new LibvirtError(message, { cause, virErrorNumber, virErrorDomain, hint });
}

/** A pool of type `dir`, as `virsh pool-define-as NAME dir --target PATH` writes it; libvirt chooses the mode (0711). */
export function poolXml({ name, targetPath }: { readonly name: string; readonly targetPath: string }): string {
  return `<pool type='dir'><name>${escapeXml(name)}</name><target><path>${escapeXml(targetPath)}</path></target></pool>`;
}

function act(
  connection: Connection,
  name: string,
  action: (lane: Lane, pool: PoolHandle) => Promise<unknown>,
): Promise<void> {
  return connection.run((lane) =>
    withPool(lane, name, async (pool) => {
      await action(lane, pool);
    }),
  );
}

/**
 * Tries again while libvirt says "pool … has asynchronous jobs running": it refreshes a pool by itself after an upload.
 * That error has no number of its own, but a busy pool stays active, whereas a failed refresh stops it.
 */
async function whenNotBusy(lane: Lane, pool: PoolHandle, attempt: () => Promise<unknown>): Promise<void> {
  for (const delayMs of BUSY_DELAYS_MS) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (!hasNumber(error, VIR_ERR.internalError) || !(await isActive(lane, pool))) throw error;
    }
    await delay(delayMs);
  }
  await attempt();
}

async function readPoolUnlessGone(lane: Lane, handle: PoolHandle): Promise<StoragePool | undefined> {
  try {
    return await readPool(lane, handle);
  } catch (error) {
    if (isNoStoragePool(error)) return undefined;
    throw error;
  }
}

async function readPool(lane: Lane, handle: PoolHandle): Promise<StoragePool> {
  const name = lane.native.storagePoolGetName(handle);
  const xml = await lane.call(`read the XML of pool '${name}'`, lane.native.storagePoolGetXMLDesc, handle, 0);
  return { ...parsePool(xml), name, isActive: await isActive(lane, handle), xml };
}

async function isActive(lane: Lane, handle: PoolHandle): Promise<boolean> {
  const name = lane.native.storagePoolGetName(handle);
  return (await lane.call(`ask whether pool '${name}' is active`, lane.native.storagePoolIsActive, handle)) === 1;
}

function parsePool(xml: string): Pick<StoragePool, 'uuid' | 'type' | 'targetPath' | 'sourceDevices'> {
  const pool = parseXml(xml, 'pool');
  return {
    uuid: textAt(pool, 'uuid') ?? '',
    type: textAt(pool, '@type') ?? 'unknown',
    targetPath: textAt(pool, 'target', 'path'),
    sourceDevices: elementsAt(pool, 'source', 'device')
      .map((device) => textAt(device, '@path'))
      .filter((path) => path !== undefined),
  };
}
