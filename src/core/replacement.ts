import type { Permissions } from './permissions.ts';

/** What a volume is to become under the name that it has. */
export interface Replacement {
  readonly volumeName: string;
  /** The volume that has the content: what it is to stand on, or to be a copy of. It is complete and durable. */
  readonly sourceName: string;
  readonly content: 'overlay' | 'copy';
  readonly virtualSizeBytes: bigint;
  readonly permissions: Permissions | undefined;
  /** Which file the volume was before; `undefined`: not known. */
  readonly before?: string | undefined;
}

/** What an interrupted replacement left under the name of the volume. */
export type LeftVolume =
  | 'missing'
  /** It is empty, or nothing but zeros. */
  | 'blank'
  /** It begins with zeros, as a copy does until the last moment, and has data behind them. */
  | 'headless'
  /** It has data, and no qcow2 image begins there. */
  | 'no image'
  | {
      readonly backingFile: string | undefined;
      readonly virtualSizeBytes: bigint;
      /** Not one cluster was ever written to it. */
      readonly isEmpty: boolean;
    };

/**
 * Which file lies under the name of the volume now.
 * - `before`: the one that was there before
 * - `made`: the one that was made in its place
 * - `other`: neither; somebody put it there since, or the run died before it could note what it had made
 * - `untold`: nobody knows, as on another host
 */
export type LeftFile = 'before' | 'made' | 'other' | 'untold';

/**
 * How to go on with a replacement that was interrupted, by what is there now:
 * - `redo`: the volume is gone, or half made and without data that anybody else could have written
 * - `finished`: it is what it was to become. A copy has its header written last, so any image is whole.
 * - `untouched`: it is the one from before, perhaps written to since by a domain
 * - `foreign`: somebody put something else there since, which is not to be touched
 */
export function resumption(
  left: LeftVolume,
  file: LeftFile,
  { content, virtualSizeBytes }: Replacement,
  sourcePath: string,
): 'redo' | 'finished' | 'untouched' | 'foreign' {
  if (left === 'missing') return 'redo';
  if (file === 'before') return 'untouched';
  if (left === 'blank') return 'redo';
  const isOurs = file === 'made' || file === 'untold';
  if (left === 'headless') return isOurs && content === 'copy' ? 'redo' : 'foreign';
  if (left === 'no image') return 'foreign';
  const isAsPlanned = left.backingFile === sourcePath && left.virtualSizeBytes === virtualSizeBytes;
  // It stands on nothing but what this run made, so nobody else can have put it there.
  if (content === 'overlay' && isAsPlanned) return 'finished';
  if (!isOurs) return 'foreign';
  if (content === 'copy') return left.backingFile === undefined ? 'finished' : 'untouched';
  return left.isEmpty ? 'redo' : 'untouched';
}
