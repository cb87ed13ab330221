import { IntegrityError, TrustError } from '../errors.ts';
import type { ImportFormat } from '../core/import-form.ts';
import type { ImageType } from '../core/record.ts';
import { checkDownloadedHeader } from './download-check.ts';
import { viewOf } from './header-text.ts';
import type { ImageFormat } from './image.ts';
import { describeContent, detectFormat } from './signature.ts';

/** An image of which only the beginning has come. */
export interface ImportedImage {
  /** For messages. */
  readonly name: string;
  readonly type: ImageType;
  /** `undefined`: not known before the end. */
  readonly sizeBytes: bigint | undefined;
}

/** Longer than any image, for checks of an image of unknown length. */
const UNKNOWN_BYTES = 1n << 62n;

const SECTOR_BYTES = 512n;
const MAX_VIRTUAL_SIZE_BYTES = 64n << 40n;

const CONVERT_HINT = 'make a qcow2 image of it where it comes from, with qemu-img convert -O qcow2';

/**
 * Checks the first bytes of an image that an administrator brings in: it must be of a format that can be kept or converted,
 * and must need no other file. What is no known format is raw, if it looks like what its type promises.
 *
 * @throws TrustError that names the image and the first hazard found.
 */
export function checkImportedHeader(head: Uint8Array, image: ImportedImage): ImportFormat {
  if (head.length === 0) {
    throw new TrustError(`image '${image.name}' is empty`, { hint: 'look at the file, or at what pipes it into here' });
  }
  const format = detectFormat(head);
  const hazard = hazardOf(format, head, image);
  if (hazard !== undefined) throw refused(image, hazard);
  return format === 'qcow2' || format === 'vmdk' || format === 'vpc' ? format : 'raw';
}

function hazardOf(format: ImageFormat, head: Uint8Array, image: ImportedImage): string | undefined {
  if (format === 'vmdk') return vmdkHazard(head);
  if (format === 'vpc') return vpcHazard(head);
  if (format === 'raw') return rawHazard(head, image);
  if (format !== 'qcow2') return `is of the format ${format}, which cannot be brought in`;
  checkDownloadedHeader(head, { name: image.name, sizeBytes: image.sizeBytes ?? UNKNOWN_BYTES });
  return undefined;
}

/** Checks what only the length tells. @throws IntegrityError when the image is cut off. */
export function checkImportedLength(format: ImportFormat, sizeBytes: bigint, { name, type }: ImportedImage): void {
  if (format !== 'raw' || type === 'datablock' || sizeBytes % SECTOR_BYTES === 0n) return;
  throw new IntegrityError(`image '${name}' is cut off: ${sizeBytes} bytes are no whole number of sectors`, {
    hint: 'fetch it again, and give its checksum with --digest',
  });
}

/** @throws TrustError for a size that no image has. */
export function checkImportedCapacity(bytes: bigint, image: ImportedImage): void {
  if (bytes === 0n || bytes > MAX_VIRTUAL_SIZE_BYTES)
    throw refused(image, `has an absurd virtual size: ${bytes} bytes`);
}

function refused({ name, type }: ImportedImage, hazard: string): TrustError {
  const hint = type === 'datablock' ? CONVERT_HINT : `${CONVERT_HINT}; --type datablock takes any bytes`;
  return new TrustError(`image '${name}' ${hazard}`, { hint });
}

/** QEMU looks for a parent in the 20 sectors behind the first, whatever the header says. */
const PARENT_HINT = /parentFileNameHint/iu;
const PARENT_ID = /parentCID\s*=\s*(\w*)/iu;
const NO_PARENT = 'ffffffff';

/**
 * Why a VMDK image must not be opened by QEMU; `undefined` when it may. Only a sparse extent that describes itself needs
 * no other file. Source: VMware's Virtual Disk Format 5.0; QEMU's block/vmdk.c.
 */
function vmdkHazard(head: Uint8Array): string | undefined {
  const text = Buffer.from(head).toString('latin1');
  if (!text.startsWith('KDMV')) return 'is a VMDK image that keeps its data in other files';
  if (head.length < Number(SECTOR_BYTES)) return 'has a VMDK header that is cut off';
  const view = viewOf(head);
  // Without a capacity QEMU takes the descriptor for one that names files.
  const capacityBytes = view.getBigUint64(12, true) * SECTOR_BYTES;
  if (capacityBytes === 0n || capacityBytes > MAX_VIRTUAL_SIZE_BYTES)
    return `has an absurd virtual size: ${capacityBytes} bytes`;
  const descriptorEnd = (view.getBigUint64(28, true) + view.getBigUint64(36, true)) * SECTOR_BYTES;
  if (descriptorEnd > BigInt(head.length)) return 'has its VMDK descriptor in an unusual place';
  return hasParent(text) ? 'is a VMDK image that stands on another image' : undefined;
}

function hasParent(descriptor: string): boolean {
  const parent = PARENT_ID.exec(descriptor)?.[1]?.toLowerCase() ?? NO_PARENT;
  return PARENT_HINT.test(descriptor) || parent !== NO_PARENT;
}

/** Source: Microsoft's Virtual Hard Disk Image Format Specification. */
function vpcHazard(head: Uint8Array): string | undefined {
  if (head.length < Number(SECTOR_BYTES)) return 'has a VHD header that is cut off';
  const view = viewOf(head);
  const [type, capacityBytes] = [view.getUint32(60), view.getBigUint64(48)];
  if (type !== 3)
    return type === 4 ? 'is a VHD image that stands on another image' : `is of the unknown VHD type ${type}`;
  if (capacityBytes > 0n && capacityBytes <= MAX_VIRTUAL_SIZE_BYTES) return undefined;
  return `has an absurd virtual size: ${capacityBytes} bytes`;
}

const BOOT_SIGNATURE = { offset: 510, bytes: '\x55\xaa' };
/** ISO 9660 and UDF: the first volume descriptor. */
const DISC_SIGNATURE = { offset: 0x8001, bytes: /^(?:CD001|BEA01)/u };

/** Raw bytes may be anything, so that a type that promises something is held to it. */
function rawHazard(head: Uint8Array, { type }: ImportedImage): string | undefined {
  const text = Buffer.from(head).toString('latin1');
  const content = describeContent(head);
  const isDisc = DISC_SIGNATURE.bytes.test(text.slice(DISC_SIGNATURE.offset, DISC_SIGNATURE.offset + 5));
  if (type === 'datablock') return undefined;
  if (type === 'cdrom') return isDisc ? undefined : `holds no disc (ISO 9660 or UDF), but ${content}`;
  if (isDisc) return 'is that of a disc: give it --type cdrom';
  return text.startsWith(BOOT_SIGNATURE.bytes, BOOT_SIGNATURE.offset)
    ? undefined
    : `holds no disk with a boot sector, but ${content}`;
}
