import { formatBytes } from '../core/byte-size.ts';
import { FailureError, UsageError } from '../errors.ts';
import { volumesOf } from '../gather/image-edges.ts';
import { parseQcow2Header, qcow2HeaderAreaBytes } from '../image-format/qcow2.ts';
import { detectFormat } from '../image-format/signature.ts';
import type { Connection } from '../libvirt/connection.ts';
import { hasNumber, VIR_ERR } from '../libvirt/error-codes.ts';
import { createVolume, type Volume, volumeXml } from '../libvirt/volume.ts';

/** What to create. */
export interface OverlayRequest {
  readonly pool: string;
  readonly name: string;
  /** As the domain will see it; by default as large as the image. */
  readonly sizeBytes: bigint | undefined;
}

/** All qcow2 headers begin within the first cluster, of which this is the smallest that is always enough to tell its size. */
const HEAD_BYTES = 65_536;

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
 * @throws UsageError when the size is smaller than the image; FailureError when the image is not qcow2, or the name is
 * taken; LibvirtError.
 */
export async function createOverlay(connection: Connection, base: Volume, request: OverlayRequest): Promise<Volume> {
  const { pool, name, sizeBytes } = request;
  const baseBytes = await virtualSize(connection, base);
  if (sizeBytes !== undefined && sizeBytes < baseBytes) {
    throw new UsageError(`--size is smaller than the image, which has ${formatBytes(baseBytes)}`, {
      hint: 'an overlay that is smaller would cut the image off',
    });
  }
  const xml = volumeXml({
    name,
    capacityBytes: sizeBytes ?? baseBytes,
    allocationBytes: 0n,
    format: 'qcow2',
    backing: { path: base.path, format: 'qcow2' },
  });
  try {
    return await createVolume(connection, pool, xml);
  } catch (cause) {
    if (!hasNumber(cause, VIR_ERR.storageVolumeExists)) throw cause;
    throw new FailureError(`volume '${name}' exists already in storage pool '${pool}'`, {
      hint: 'choose another name, or delete that volume first',
    });
  }
}

/** Libvirt's own figure is as of a refresh, and for raw volumes the length of the file. */
async function virtualSize(connection: Connection, { pool, name }: Volume): Promise<bigint> {
  const read = volumesOf(connection);
  const head = await read({ pool, name }, 0n, HEAD_BYTES);
  if (detectFormat(head) !== 'qcow2') {
    throw new FailureError(`volume '${name}' in storage pool '${pool}' is not a qcow2 image`, {
      hint: 'only qcow2 images can be the base of an overlay here',
    });
  }
  const areaBytes = qcow2HeaderAreaBytes(head);
  const area = areaBytes > head.length ? await read({ pool, name }, 0n, areaBytes) : head;
  return parseQcow2Header(area).virtualSizeBytes;
}
