import { IntegrityError } from '../errors.ts';
import { decodeName, type HeaderName, viewOf } from './header-text.ts';
import type { ImageReader } from './image.ts';

/** The fields of a qcow2 header, version 2 or 3. Sizes and offsets are in bytes. */
export interface Qcow2Header {
  readonly version: number;
  readonly virtualSizeBytes: bigint;
  readonly clusterBits: number;
  readonly headerLength: number;
  readonly backingFile: HeaderName | undefined;
  /** From the header extension 0xe2792aca. */
  readonly backingFormat: string | undefined;
  /** From the header extension 0x44415441. */
  readonly dataFile: HeaderName | undefined;
  /** A number stands for a method that the format does not define. */
  readonly encryption: 'none' | 'aes' | 'luks' | number;
  readonly incompatibleFeatures: bigint;
  readonly l1Entries: number;
  readonly l1Offset: bigint;
  readonly refcountTableOffset: bigint;
  readonly refcountTableClusters: number;
  readonly refcountOrder: number;
  readonly snapshotCount: number;
  readonly snapshotsOffset: bigint;
  /** 0 is zlib, 1 is zstd. */
  readonly compressionType: number;
}

/** The bits of `incompatibleFeatures` that the format defines. */
export const QCOW2_INCOMPATIBLE = {
  dirty: 1n,
  corrupt: 2n,
  externalDataFile: 4n,
  compressionType: 8n,
  extendedL2: 16n,
} as const;

const V2_LENGTH = 72;
const V3_LENGTH = 104;
const MAX_NAME_BYTES = 1023;
const EXTENSION_BACKING_FORMAT = 0xe2792aca;
const EXTENSION_DATA_FILE = 0x44415441;
const ENCRYPTION = ['none', 'aes', 'luks'] as const;

interface Extensions {
  readonly backingFormat: string | undefined;
  readonly dataFile: HeaderName | undefined;
}

/**
 * How many bytes from the start of the image `parseQcow2Header` may need: the header with its extensions and the
 * name of the backing file lie in the first cluster, which has at most 2 MiB.
 *
 * @throws IntegrityError as `parseQcow2Header`, for the fixed fields.
 */
export function qcow2HeaderAreaBytes(head: Uint8Array): number {
  return 2 ** parseFixedFields(head).clusterBits;
}

/** All qcow2 headers begin within the first cluster, of which this is the smallest that is always enough to tell its size. */
export const QCOW2_HEAD_BYTES = 65_536;

/**
 * The header of a qcow2 image of which the first bytes are there; more of it is read where they are not enough.
 *
 * @throws IntegrityError as `parseQcow2Header`; what `reader` throws.
 */
export async function readQcow2Header(head: Uint8Array, reader: Pick<ImageReader, 'read'>): Promise<Qcow2Header> {
  const areaBytes = qcow2HeaderAreaBytes(head);
  return parseQcow2Header(areaBytes > head.length ? await reader.read(0n, areaBytes) : head);
}

/**
 * Parses the header of a qcow2 image from its first bytes.
 *
 * Source: QEMU's docs/interop/qcow2.txt, and block/qcow2.c for the limits.
 *
 * @throws IntegrityError that names field, offset and value where the header is malformed or goes on beyond `head`.
 */
export function parseQcow2Header(head: Uint8Array): Qcow2Header {
  const fixed = parseFixedFields(head);
  const clusterBytes = 2 ** fixed.clusterBits;
  const backing = backingRange(viewOf(head), clusterBytes);
  const backingFile =
    backing && decodeName(slice(head, 'backing file name', backing.offset, backing.length), backing.offset);
  if (backingFile?.text === '') throw malformed('backing file name', backing?.offset ?? 0, 'empty', 'a name');
  const extensions = parseExtensions(head, fixed.headerLength, backing?.offset ?? clusterBytes);
  return { ...fixed, ...extensions, backingFile };
}

function parseFixedFields(head: Uint8Array): Omit<Qcow2Header, 'backingFile' | keyof Extensions> {
  const view = viewOf(slice(head, 'header', 0, V2_LENGTH));
  const magic = view.getUint32(0);
  const version = view.getUint32(4);
  const clusterBits = view.getUint32(20);
  if (magic !== 0x514649fb) throw malformed('magic', 0, magic, '0x514649fb');
  if (version !== 2 && version !== 3) throw malformed('version', 4, version, '2 or 3');
  if (clusterBits < 9 || clusterBits > 21) throw malformed('cluster_bits', 20, clusterBits, '9 to 21');
  const method = view.getUint32(32);
  return {
    version,
    clusterBits,
    virtualSizeBytes: view.getBigUint64(24),
    encryption: ENCRYPTION[method] ?? method,
    l1Entries: view.getUint32(36),
    l1Offset: view.getBigUint64(40),
    refcountTableOffset: view.getBigUint64(48),
    refcountTableClusters: view.getUint32(56),
    snapshotCount: view.getUint32(60),
    snapshotsOffset: view.getBigUint64(64),
    ...(version === 2 ? V2_DEFAULTS : parseVersion3Fields(head, 2 ** clusterBits)),
  };
}

type Version3Fields = Pick<Qcow2Header, 'headerLength' | 'incompatibleFeatures' | 'refcountOrder' | 'compressionType'>;

const V2_DEFAULTS: Version3Fields = {
  headerLength: V2_LENGTH,
  incompatibleFeatures: 0n,
  refcountOrder: 4,
  compressionType: 0,
};

function parseVersion3Fields(head: Uint8Array, clusterBytes: number): Version3Fields {
  const view = viewOf(slice(head, 'header', 0, V3_LENGTH));
  const headerLength = view.getUint32(100);
  if (headerLength < V3_LENGTH || headerLength > clusterBytes || headerLength % 8 !== 0) {
    throw malformed('header_length', 100, headerLength, `a multiple of 8 from ${V3_LENGTH} to ${clusterBytes}`);
  }
  return {
    headerLength,
    incompatibleFeatures: view.getBigUint64(72),
    refcountOrder: view.getUint32(96),
    compressionType: headerLength > V3_LENGTH ? (slice(head, 'compression_type', V3_LENGTH, 1)[0] ?? 0) : 0,
  };
}

function backingRange(view: DataView, clusterBytes: number): { offset: number; length: number } | undefined {
  const offset = view.getBigUint64(8);
  const length = view.getUint32(16);
  if (offset === 0n) return undefined;
  if (offset > clusterBytes) throw malformed('backing_file_offset', 8, offset, `at most ${clusterBytes}`);
  const limit = Math.min(MAX_NAME_BYTES, clusterBytes - Number(offset));
  if (length < 1 || length > limit) throw malformed('backing_file_size', 16, length, `1 to ${limit}`);
  return { offset: Number(offset), length };
}

function parseExtensions(head: Uint8Array, start: number, end: number): Extensions {
  let found: Extensions = { backingFormat: undefined, dataFile: undefined };
  for (let offset = start; offset < end;) {
    const view = viewOf(slice(head, 'header extension', offset, 8));
    const [type, length] = [view.getUint32(0), view.getUint32(4)];
    if (type === 0) break;
    const bodyAt = offset + 8;
    if (length > end - bodyAt)
      throw malformed('length of header extension', offset + 4, length, `at most ${end - bodyAt}`);
    found = { ...found, ...parseExtension(type, slice(head, 'header extension', bodyAt, length), bodyAt) };
    offset = bodyAt + Math.ceil(length / 8) * 8;
  }
  return found;
}

function parseExtension(type: number, body: Uint8Array, offset: number): Partial<Extensions> {
  if (type !== EXTENSION_BACKING_FORMAT && type !== EXTENSION_DATA_FILE) return {};
  const name = decodeName(body, offset);
  if (type === EXTENSION_BACKING_FORMAT) return { backingFormat: name.text };
  if (name.text === '') throw malformed('data file name', offset, 'empty', 'a name');
  return { dataFile: name };
}

function slice(head: Uint8Array, field: string, offset: number, length: number): Uint8Array {
  if (offset + length > head.length) {
    throw malformed(field, offset, `cut off after ${head.length} bytes`, `${length} bytes`);
  }
  return head.subarray(offset, offset + length);
}

function malformed(field: string, offset: number, found: bigint | number | string, expected: string): IntegrityError {
  return new IntegrityError(`qcow2 header is malformed: ${field} at offset ${offset} is ${found}, not ${expected}`, {
    expected,
    found: String(found),
  });
}
