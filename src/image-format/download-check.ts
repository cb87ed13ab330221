import { IntegrityError, TrustError } from '../errors.ts';
import { parseQcow2Header, QCOW2_INCOMPATIBLE, type Qcow2Header } from './qcow2.ts';
import { describeContent, detectFormat } from './signature.ts';

/** How much of an image `checkDownloadedHeader` wants to see; less only where the image is shorter. */
export const DOWNLOAD_HEAD_BYTES = 65_536;

/** What is known of a published image before it is opened. */
export interface DownloadedImage {
  /** For messages. */
  readonly name: string;
  readonly sizeBytes: bigint;
}

/** An image that may be offered to domains. */
export interface CheckedHeader {
  readonly format: 'qcow2';
  readonly virtualSizeBytes: bigint;
}

/** Says what is wrong with a header, or `undefined`. */
type Check = (header: Qcow2Header, sizeBytes: bigint) => string | undefined;

const MAX_VIRTUAL_SIZE_BYTES = 64n << 40n;
const MAX_L1_BYTES = 32n << 20n;
const MAX_REFCOUNT_TABLE_BYTES = 8n << 20n;
const MAX_SNAPSHOTS = 65_536;
const MIN_SNAPSHOT_BYTES = 40n;
const KNOWN_FEATURES = Object.values(QCOW2_INCOMPATIBLE).reduce((all, bit) => all | bit, 0n);

/** In the order in which they are told: what reaches for the host's files comes first. */
const CHECKS: readonly Check[] = [
  checkOtherFiles,
  checkEncryption,
  checkFeatures,
  checkVirtualSize,
  checkL1Table,
  checkRefcountTable,
  checkSnapshots,
];

/**
 * Checks the first bytes of a downloaded image: it must be a clean qcow2 image that needs no other file. A backing
 * file or an external data file would let a domain read the host's files.
 *
 * @throws TrustError that names the image and the first hazard found.
 */
export function checkDownloadedHeader(head: Uint8Array, image: DownloadedImage): CheckedHeader {
  if (detectFormat(head) !== 'qcow2') throw refused(image, `is not a qcow2 image but ${describeContent(head)}`);
  const header = parse(head, image);
  for (const check of CHECKS) {
    const hazard = check(header, image.sizeBytes);
    if (hazard !== undefined) throw refused(image, hazard);
  }
  return { format: 'qcow2', virtualSizeBytes: header.virtualSizeBytes };
}

function parse(head: Uint8Array, image: DownloadedImage): Qcow2Header {
  try {
    return parseQcow2Header(head);
  } catch (cause) {
    if (cause instanceof IntegrityError) throw refused(image, `cannot be read: ${cause.message}`, cause);
    throw cause;
  }
}

function refused(image: DownloadedImage, hazard: string, cause?: unknown): TrustError {
  return new TrustError(`image '${image.name}' ${hazard}`, {
    cause,
    hint: 'the image was not offered to any domain; report it to whoever publishes it',
  });
}

function checkOtherFiles({ backingFile, dataFile, incompatibleFeatures }: Qcow2Header): string | undefined {
  if (backingFile !== undefined) return `names a backing file: '${backingFile.text}'`;
  if (dataFile !== undefined) return `names an external data file: '${dataFile.text}'`;
  const hasDataFile = (incompatibleFeatures & QCOW2_INCOMPATIBLE.externalDataFile) !== 0n;
  return hasDataFile ? 'keeps its data in an external data file' : undefined;
}

function checkEncryption({ encryption }: Qcow2Header): string | undefined {
  return encryption === 'none' ? undefined : `is encrypted (method ${encryption})`;
}

function checkFeatures({ incompatibleFeatures, compressionType, clusterBits }: Qcow2Header): string | undefined {
  const unknown = incompatibleFeatures & ~KNOWN_FEATURES;
  if (unknown !== 0n) return `needs unknown incompatible features: 0x${unknown.toString(16)}`;
  if ((incompatibleFeatures & QCOW2_INCOMPATIBLE.dirty) !== 0n) return 'is marked dirty: it was not closed properly';
  if ((incompatibleFeatures & QCOW2_INCOMPATIBLE.corrupt) !== 0n) return 'is marked corrupt';
  const hasCompressionType = (incompatibleFeatures & QCOW2_INCOMPATIBLE.compressionType) !== 0n;
  if (compressionType > 1 || (compressionType === 1) !== hasCompressionType) {
    return `has an unknown compression type: ${compressionType}`;
  }
  const hasExtendedL2 = (incompatibleFeatures & QCOW2_INCOMPATIBLE.extendedL2) !== 0n;
  return hasExtendedL2 && clusterBits < 14 ? 'has extended L2 entries in clusters below 16 KiB' : undefined;
}

function checkVirtualSize({ virtualSizeBytes }: Qcow2Header): string | undefined {
  if (virtualSizeBytes === 0n) return 'has a virtual size of zero';
  if (virtualSizeBytes <= MAX_VIRTUAL_SIZE_BYTES) return undefined;
  return `has an absurd virtual size: ${virtualSizeBytes} bytes, more than ${MAX_VIRTUAL_SIZE_BYTES}`;
}

function checkL1Table(header: Qcow2Header, sizeBytes: bigint): string | undefined {
  const clusterBytes = clusterBytesOf(header);
  const hasExtendedL2 = (header.incompatibleFeatures & QCOW2_INCOMPATIBLE.extendedL2) !== 0n;
  const bytesPerEntry = clusterBytes * (clusterBytes / (hasExtendedL2 ? 16n : 8n));
  const entries = BigInt(header.l1Entries);
  if (entries * 8n > MAX_L1_BYTES) return `has an L1 table of ${entries} entries, more than any image may have`;
  if (entries * bytesPerEntry < header.virtualSizeBytes) {
    return `has an absurd virtual size: its L1 table describes ${entries * bytesPerEntry} bytes, not ${header.virtualSizeBytes}`;
  }
  return checkTable('L1 table', { offset: header.l1Offset, bytes: entries * 8n, clusterBytes, sizeBytes });
}

function checkRefcountTable(header: Qcow2Header, sizeBytes: bigint): string | undefined {
  const clusterBytes = clusterBytesOf(header);
  const bytes = BigInt(header.refcountTableClusters) * clusterBytes;
  if (header.refcountOrder > 6) return `has refcounts of 2^${header.refcountOrder} bits`;
  if (bytes === 0n || bytes > MAX_REFCOUNT_TABLE_BYTES) return `has a refcount table of ${bytes} bytes`;
  return checkTable('refcount table', { offset: header.refcountTableOffset, bytes, clusterBytes, sizeBytes });
}

function checkSnapshots(header: Qcow2Header, sizeBytes: bigint): string | undefined {
  if (header.snapshotCount === 0) return undefined;
  if (header.snapshotCount > MAX_SNAPSHOTS) return `has ${header.snapshotCount} snapshots, more than ${MAX_SNAPSHOTS}`;
  const table = {
    offset: header.snapshotsOffset,
    bytes: BigInt(header.snapshotCount) * MIN_SNAPSHOT_BYTES,
    clusterBytes: clusterBytesOf(header),
    sizeBytes,
  };
  return checkTable('snapshot table', table);
}

interface TablePlace {
  readonly offset: bigint;
  readonly bytes: bigint;
  readonly clusterBytes: bigint;
  readonly sizeBytes: bigint;
}

function checkTable(name: string, { offset, bytes, clusterBytes, sizeBytes }: TablePlace): string | undefined {
  if (offset < clusterBytes || offset % clusterBytes !== 0n)
    return `has its ${name} at offset ${offset}, no cluster's start`;
  if (offset + bytes <= sizeBytes) return undefined;
  return `has its ${name} at offset ${offset}, beyond its size of ${sizeBytes} bytes`;
}

function clusterBytesOf({ clusterBits }: Qcow2Header): bigint {
  return 1n << BigInt(clusterBits);
}
