import { join } from 'node:path';
import { defaultCacheDir, defaultStateDir } from '../state/paths.ts';
import type { CommandContext } from './context.ts';
import type { CommonArguments } from './options.ts';

/** Where records, journals and locks of all pools are kept. */
export function stateDirOf({ env, uid }: CommandContext, { stateDir }: Pick<CommonArguments, 'stateDir'>): string {
  return stateDir ?? defaultStateDir(env, uid);
}

/** Where fetched documents are kept. */
export function cacheDirOf({ env, uid }: CommandContext, { cacheDir }: Pick<CommonArguments, 'cacheDir'>): string {
  return cacheDir ?? defaultCacheDir(env, uid);
}

/** Where keys that the administrator added are kept. */
export function keyringPathOf(context: CommandContext, options: Pick<CommonArguments, 'stateDir'>): string {
  return join(stateDirOf(context, options), 'keyring.asc');
}
