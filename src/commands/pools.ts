import { DEFAULT_POOL } from '../config/settings.ts';
import { LibvirtError } from '../errors.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import { type PoolStatePaths, poolStatePaths } from '../state/paths.ts';
import type { CommandContext } from './context.ts';
import type { CommonArguments } from './options.ts';
import { stateDirOf } from './places.ts';

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
  const { metadataDir, effective } = options;
  const isConfigured = effective?.get('metadata-dir')?.origin.kind === 'file';
  const isUsual = pool.name === (effective?.get('pool')?.value ?? DEFAULT_POOL);
  const isMeant = metadataDir !== undefined && (isUsual || (isOnlyPool && !isConfigured));
  return poolStatePaths({ stateDir: stateDirOf(context, options), pool, ...(isMeant ? { metadataDir } : {}) });
}
