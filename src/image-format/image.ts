import type { Reference } from '../core/reference.ts';

/** The formats that are told apart by their first bytes; everything else is `raw`, and `unknown` could not be read. */
export type ImageFormat =
  | 'qcow'
  | 'qcow2'
  | 'qed'
  | 'vmdk'
  | 'vhdx'
  | 'vpc'
  | 'vdi'
  | 'parallels'
  | 'saved-domain'
  | 'raw'
  | 'unknown';

/** Gives access to the bytes of one image file, block device or remote volume. */
export interface ImageReader {
  /** The path by which it was opened, on the host that it lies on; relative names in its header start from there. */
  readonly path: string | undefined;
  /** Returns fewer bytes only where the image ends. Fails with a PoolkeeperError. */
  read(offset: bigint, length: number): Promise<Uint8Array>;
}

/** What an image's own header says about other files. */
export interface ImageInspection {
  readonly format: ImageFormat;
  /** The immediate parent, the data file and the extents: one link, not the whole chain. */
  readonly references: readonly Reference[];
  /** The formats that the header states for them, by value. Where it states none, QEMU looks at the first bytes. */
  readonly statedFormats?: ReadonlyMap<string, string>;
  /** Whether it has no bytes at all, or none that could be read. */
  readonly isEmpty?: boolean;
  /** Why `references` may lack something. Then what the image needs is unknown, not nothing. */
  readonly undecided: string | undefined;
  /** What the administrator can do so that it is decided next time. */
  readonly remedy: string | undefined;
  /** The domain XML in a save image; it names what the saved domain needs. */
  readonly savedDomainXml: string | undefined;
}

/** An image of which the first bytes were read. */
export interface OpenedImage {
  readonly reader: ImageReader;
  readonly head: Uint8Array;
  /** Where relative names start; `undefined` when the image has no path. */
  readonly directory: string | undefined;
}

/** What the reader of one format found; absent means nothing. */
export interface Findings {
  readonly references?: readonly Reference[];
  readonly statedFormats?: ReadonlyMap<string, string>;
  readonly undecided?: string | undefined;
  readonly remedy?: string | undefined;
  readonly savedDomainXml?: string;
}

/** The directory part of a path, as a string: links and dots stay, as they do for QEMU. */
export function directoryOf(path: string | undefined): string | undefined {
  const slash = path?.lastIndexOf('/') ?? -1;
  return slash < 0 ? undefined : path?.slice(0, Math.max(slash, 1));
}
