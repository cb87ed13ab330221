import type { ImageRecord } from '../core/record.ts';
import type { Replacement } from '../core/replacement.ts';
import type { Qcow2Content } from '../gather/qcow2-content.ts';
import type { Volume } from '../libvirt/volume.ts';
import type { ReplacementGuard } from './replace-volume.ts';

/** A persistent image whose content can be changed, as it was looked at. */
export interface PersistentImage extends Qcow2Content {
  readonly volume: Volume;
  readonly record: ImageRecord;
  /** What the user calls it. */
  readonly label: string;
}

/** How a persistent image gets another content. */
export type ContentSource = Pick<Replacement, 'sourceName' | 'content'>;

/** The same volume with another content. */
export function replacementOf({ volume, header }: PersistentImage, source: ContentSource): Replacement {
  const { virtualSizeBytes } = header;
  return { ...source, volumeName: volume.name, virtualSizeBytes, permissions: volume.permissions };
}

/** A guard for the volume as it was looked at. */
export function guardOf({ volume }: PersistentImage, assertIdle: () => Promise<void>): ReplacementGuard {
  return { expected: volume, assertIdle };
}
