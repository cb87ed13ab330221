/** Who may open the file of a volume, as libvirt writes it. */
export interface Permissions {
  /** Octal, as in `0600`. */
  readonly mode: string;
  readonly owner: number;
  readonly group: number;
}

/** What a volume is to become under the name that it has. */
export interface Replacement {
  readonly volumeName: string;
  /** The volume that has the content: what it is to stand on, or to be a copy of. It is complete and durable. */
  readonly sourceName: string;
  readonly content: 'overlay' | 'copy';
  readonly virtualSizeBytes: bigint;
  readonly permissions: Permissions | undefined;
}

/** What an interrupted replacement left under the name of the volume. */
export type LeftVolume =
  | 'missing'
  /** No qcow2 image begins there. */
  | 'no image'
  | {
      readonly backingFile: string | undefined;
      readonly virtualSizeBytes: bigint;
      /** Not one cluster was ever written to it. */
      readonly isEmpty: boolean;
    };

/**
 * How to go on with a replacement that was interrupted, by what is there now. The volume was a qcow2 image before, and
 * nothing but its content tells the old one from the new:
 * - `redo`: it is gone, or half made. What has no data of its own can be made anew, whichever of the two it is.
 * - `finished`: it is what it was to become. A copy has its header written last, so any image is whole.
 * - `untouched`: it is the one from before, perhaps written to since by a domain.
 */
export function resumption(
  left: LeftVolume,
  { content, virtualSizeBytes }: Replacement,
  sourcePath: string,
): 'redo' | 'finished' | 'untouched' {
  if (left === 'missing' || left === 'no image') return 'redo';
  if (content === 'copy') return left.backingFile === undefined ? 'finished' : 'untouched';
  if (left.backingFile === sourcePath && left.virtualSizeBytes === virtualSizeBytes) return 'finished';
  return left.isEmpty ? 'redo' : 'untouched';
}
