import { formatBytes } from '../core/byte-size.ts';
import type { ImageType } from '../core/record.ts';
import { LibvirtError, NoSpaceError, TrustError } from '../errors.ts';
import { checkDownloadedHeader } from '../image-format/download-check.ts';
import { checkImportedCapacity } from '../image-format/import-check.ts';
import { poolSpace, refreshPool } from '../libvirt/storage-pool.ts';
import { createVolumeFrom, lookupVolume, type Volume, volumeXml } from '../libvirt/volume.ts';
import type { Environment } from './environment.ts';
import { type Content, readContent } from './read-content.ts';
import type { Received } from './receive-image.ts';

/** An image that waits to be converted. */
export interface Conversion {
  /** For messages. */
  readonly name: string;
  readonly type: ImageType;
  readonly received: Received;
  /** The volume to make of it. */
  readonly volumeName: string;
}

/**
 * Makes a qcow2 volume of an image that lies in another one, by way of libvirt, and reads it through. It is not stopped
 * half-way: libvirt would go on all the same.
 *
 * @throws TrustError, NoSpaceError, LibvirtError; half of the volume may be there then.
 */
export async function convertImage(conversion: Conversion, environment: Environment): Promise<Content> {
  const { connection, poolName } = environment;
  const { received, name, type } = conversion;
  // Only now libvirt learns how large the image is, and of which format.
  await refreshPool(connection, poolName);
  const source = await lookupVolume(connection, poolName, received.volumeName);
  assertSameFormat(source, conversion);
  checkImportedCapacity(source.capacityBytes, { name, type, sizeBytes: received.sizeBytes });
  await convert(source, conversion, environment);
  const content = await readContent(poolName, conversion.volumeName, { ...environment, algorithm: 'sha256' });
  checkDownloadedHeader(content.head, { name, sizeBytes: content.sizeBytes });
  return content;
}

/** libvirt tells qemu-img the format that it found itself: it must be the one that was checked. */
function assertSameFormat({ format = 'unknown' }: Volume, { received, name }: Conversion): void {
  if (format === received.found) return;
  throw new TrustError(`image '${name}' looks like ${received.found} here, and like ${format} to libvirt`, {
    hint: 'make a qcow2 image of it where it comes from, with qemu-img convert -O qcow2',
  });
}

async function convert(source: Volume, { volumeName, name }: Conversion, environment: Environment): Promise<void> {
  const { connection, poolName, permissions } = environment;
  const { capacityBytes } = source;
  const { availableBytes } = await poolSpace(connection, poolName);
  const xml = volumeXml({ name: volumeName, capacityBytes, allocationBytes: 0n, format: 'qcow2', permissions });
  try {
    await createVolumeFrom(connection, poolName, xml, { pool: poolName, name: source.name });
  } catch (cause) {
    // libvirt only passes on what qemu-img printed, which is no reason to go by; the room is.
    if (!(cause instanceof LibvirtError) || availableBytes >= capacityBytes) throw cause;
    const room = `up to ${formatBytes(capacityBytes)} were needed, and ${formatBytes(availableBytes)} were free`;
    throw new NoSpaceError(`cannot convert image '${name}' to qcow2: ${room}`, {
      cause,
      hint: 'free some space where the storage pool is',
    });
  }
}
