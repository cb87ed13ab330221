import { formatBytes } from '../core/byte-size.ts';
import type { StoredFormat } from '../core/import-form.ts';
import { FailureError, UsageError } from '../errors.ts';
import { volumesOf } from '../gather/image-edges.ts';
import { QCOW2_HEAD_BYTES, readQcow2Header } from '../image-format/qcow2.ts';
import { detectFormat } from '../image-format/signature.ts';
import type { Connection } from '../libvirt/connection.ts';
import type { Volume } from '../libvirt/volume.ts';

/** An image that something is to be made of. */
export interface BaseImage {
  readonly volume: Volume;
  readonly format: StoredFormat;
  /** As a domain sees it. */
  readonly capacityBytes: bigint;
  readonly standsOnAnother: boolean;
}

/**
 * Reads what an image is. Libvirt's own figures are as of a refresh, and for raw volumes the length of the file. What is
 * known to be raw stays raw, whatever a domain wrote into it: read as something else it could name files of the host.
 *
 * @throws FailureError when it is neither qcow2 nor raw.
 */
export async function readBaseImage(connection: Connection, volume: Volume, isKnownRaw: boolean): Promise<BaseImage> {
  const { pool, name } = volume;
  const readVolume = volumesOf(connection);
  const read = (offset: bigint, length: number) => readVolume({ pool, name }, offset, length);
  const head = await read(0n, QCOW2_HEAD_BYTES);
  const format = isKnownRaw ? 'raw' : detectFormat(head);
  if (format === 'raw') {
    return { volume, format, capacityBytes: volume.lengthBytes ?? volume.capacityBytes, standsOnAnother: false };
  }
  if (format !== 'qcow2') {
    throw new FailureError(
      `volume '${name}' in storage pool '${pool}' is neither a qcow2 nor a raw image, but ${format}`,
      {
        hint: `bring it in with 'poolkeeper import', which converts it`,
      },
    );
  }
  const { virtualSizeBytes, backingFile } = await readQcow2Header(head, { read });
  return { volume, format, capacityBytes: virtualSizeBytes, standsOnAnother: backingFile !== undefined };
}

/** @throws UsageError when a clone of so many bytes would be smaller than the image. */
export function assertNotSmaller({ capacityBytes }: BaseImage, sizeBytes: bigint | undefined): void {
  if (sizeBytes === undefined || sizeBytes >= capacityBytes) return;
  throw new UsageError(`--size is smaller than the image, which has ${formatBytes(capacityBytes)}`, {
    hint: 'a clone that is smaller would cut the image off',
  });
}
