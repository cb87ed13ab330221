import type { NewPermissions } from '../core/permissions.ts';
import { UsageError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import { createVolume, type Volume, volumeXml } from '../libvirt/volume.ts';
import { assertNotSmaller, type BaseImage } from './base-image.ts';
import { makeNewVolume } from './new-volume.ts';

/** What to create. */
export interface OverlayRequest {
  readonly pool: string;
  readonly name: string;
  /** As the domain will see it; by default as large as the image. */
  readonly sizeBytes: bigint | undefined;
  readonly permissions: NewPermissions | undefined;
}

/** Linux's longest file name. */
const LONGEST_NAME_BYTES = 255;

/** @throws UsageError for a name that is no file name, or that looks like the name of an image. */
export function checkCloneName(name: string): void {
  const isFileName = /^[^./\p{Cc}][^/\p{Cc}]*$/u.test(name);
  if (!isFileName || Buffer.byteLength(name) > LONGEST_NAME_BYTES) {
    throw new UsageError(`'${name}' cannot be the name of a volume`, {
      hint: 'a name has no slash and no control characters, does not begin with a dot, and is at most 255 bytes long',
    });
  }
  if (!name.startsWith('x-uvt-')) return;
  throw new UsageError(`'${name}' looks like the name of an image`, {
    hint: 'names that begin with x-uvt- are for images, which are deleted when they are replaced',
  });
}

/**
 * Creates a volume that stands on another one. The format of the backing file is always written into its header, since
 * libvirt refuses to guess it.
 *
 * @throws UsageError when the size is smaller than the image; FailureError when the name is taken; LibvirtError.
 */
export function createOverlay(connection: Connection, base: BaseImage, request: OverlayRequest): Promise<Volume> {
  const { pool, name, sizeBytes, permissions } = request;
  assertNotSmaller(base, sizeBytes);
  const { format, volume, capacityBytes } = base;
  const xml = volumeXml({
    name,
    capacityBytes: sizeBytes ?? capacityBytes,
    allocationBytes: 0n,
    format: 'qcow2',
    backing: { path: volume.path, format },
    permissions,
  });
  return makeNewVolume(pool, name, () => createVolume(connection, pool, xml));
}
