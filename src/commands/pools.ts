import { LibvirtError } from '../errors.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import { type PoolStatePaths, poolStatePaths } from '../state/paths.ts';
import type { CommandContext } from './context.ts';
import type { CommonArguments } from './options.ts';
import { stateDirOf } from './session.ts';

/** The pool whose metadata files are uvtool's. */
const UVTOOL_POOL = 'uvtool';

/** The pool of a name, of whatever type. @throws LibvirtError when there is none, or when it is not active. */
export function activePool(pools: readonly StoragePool[], name: string): StoragePool {
  const pool = pools.find((each) => each.name === name);
  if (pool === undefined) {
    throw new LibvirtError(`storage pool '${name}' does not exist`, {
      hint: `'virsh pool-list --all' shows those that exist`,
    });
  }
  if (!pool.isActive) {
    throw new LibvirtError(`storage pool '${name}' is not active`, {
      hint: `start it with 'virsh pool-start ${name}'`,
    });
  }
  return pool;
}

/** Options of commands that look at several pools. */
export interface PoolsArguments extends CommonArguments {
  readonly metadataDir: string | undefined;
}

/** Where the state of one of the pools lies that a command looks at. A metadata directory is only ever that of one pool. */
export function pathsOfPool(
  pool: StoragePool,
  context: CommandContext,
  { options, isOnlyPool }: { readonly options: PoolsArguments; readonly isOnlyPool: boolean },
): PoolStatePaths {
  const { metadataDir } = options;
  const isMeant = metadataDir !== undefined && (isOnlyPool || pool.name === UVTOOL_POOL);
  return poolStatePaths({ stateDir: stateDirOf(context, options), pool, ...(isMeant ? { metadataDir } : {}) });
}
