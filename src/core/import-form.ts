import type { ImageType } from './record.ts';

/** The formats that images can be brought in as. */
export const IMPORT_FORMATS = ['raw', 'qcow2', 'vmdk', 'vhdx', 'vpc'] as const;

export type ImportFormat = (typeof IMPORT_FORMATS)[number];

/** The formats that images are kept in. */
export type StoredFormat = 'raw' | 'qcow2';

/**
 * The format that an image is kept in. Domains are built on images of type `os`, and uvt-kvm takes only qcow2 for that;
 * the others stay as they came, unless their format is one that only other hypervisors write.
 */
export function storedFormat(found: ImportFormat, type: ImageType): StoredFormat {
  return found === 'raw' && type !== 'os' ? 'raw' : 'qcow2';
}
