import { decodeBackingString } from '../core/backing-string.ts';
import { decodeUtf8, mergeFindings, viewOf } from './header-text.ts';
import type { Findings, OpenedImage } from './image.ts';

const SECTOR_BYTES = 512n;
const MAX_DESCRIPTOR_BYTES = 1 << 20;
const MAX_EXTENTS = 4096;
const NO_PARENT = 'ffffffff';
const EXTENT = /^[ \t]*(?:RW|RDONLY|NOACCESS)\s+[+-]?\d+\s+(\w+)(?:\s+"([^"]*)")?/gmu;
const PARENT_HINT = /parentFileNameHint\s*=\s*"([^"]*)"/giu;
const PARENT_ID = /parentCID\s*=\s*(\w*)/iu;

/**
 * Reads extents and parent of a VMDK image from its descriptor, which is a file of its own or lies in a sparse extent.
 * Source: VMware's Virtual Disk Format 5.0; QEMU's block/vmdk.c for names and limits.
 */
export async function inspectVmdk(image: OpenedImage): Promise<Findings> {
  const magic = Buffer.from(image.head.subarray(0, 4)).toString('latin1');
  if (magic === 'COWD') return { undecided: 'a VMDK image of the COWD kind may have a parent that it does not name' };
  if (magic === 'KDMV') return await inspectSparseExtent(image);
  return await inspectDescriptor(image, 0n, MAX_DESCRIPTOR_BYTES);
}

async function inspectSparseExtent(image: OpenedImage): Promise<Findings> {
  if (image.head.length < 44) return { undecided: 'the VMDK header is cut off' };
  const view = viewOf(image.head);
  const [sector, sectors] = [view.getBigUint64(28, true), view.getBigUint64(36, true)];
  if (sector === 0n) return {};
  const bytes = sectors * SECTOR_BYTES;
  if (bytes === 0n || bytes > MAX_DESCRIPTOR_BYTES || sector > 1n << 54n) {
    return { undecided: `the VMDK header has a descriptor of ${bytes} bytes at sector ${sector}` };
  }
  return await inspectDescriptor(image, sector * SECTOR_BYTES, Number(bytes));
}

async function inspectDescriptor(image: OpenedImage, offset: bigint, limit: number): Promise<Findings> {
  const bytes = await image.reader.read(offset, limit);
  const end = bytes.indexOf(0);
  if (end === 0) return {};
  if (end < 0 && bytes.length === MAX_DESCRIPTOR_BYTES) return { undecided: 'the VMDK descriptor does not end' };
  const { text, isExact } = decodeUtf8(end < 0 ? bytes : bytes.subarray(0, end));
  if (!/^\s*#/u.test(text)) return { undecided: `there is no VMDK descriptor at offset ${offset}` };
  const findings = mergeFindings(extentFindings(text, image), parentFindings(text, image.directory));
  return isExact ? findings : { ...findings, undecided: findings.undecided ?? 'the VMDK descriptor is not UTF-8' };
}

/** A monolithic sparse image names itself as its only extent; that is no reference. */
function extentFindings(text: string, { directory, reader }: OpenedImage): Findings {
  const extents = [...text.matchAll(EXTENT)].filter(([, type]) => type !== 'ZERO').map(([, , name = '']) => name);
  if (extents.length > MAX_EXTENTS) return { undecided: `the VMDK descriptor has ${extents.length} extents` };
  if (extents.includes('')) return { undecided: 'a VMDK extent has no readable name' };
  const own = reader.path?.slice(reader.path.lastIndexOf('/') + 1);
  return {
    references: extents.flatMap((name, index) =>
      name === own ? [] : decodeBackingString(name, directory, `VMDK descriptor, extent ${index + 1}`),
    ),
  };
}

/** QEMU looks for the parent's name anywhere in the descriptor, not only at the start of a line. */
function parentFindings(text: string, directory: string | undefined): Findings {
  const hints = [...text.matchAll(PARENT_HINT)].map(([, hint = '']) => hint);
  const references = hints.flatMap((hint) =>
    decodeBackingString(hint, directory, 'VMDK descriptor, parentFileNameHint'),
  );
  const parent = PARENT_ID.exec(text)?.[1]?.toLowerCase() ?? NO_PARENT;
  const isNamed = references.length > 0 || (parent === NO_PARENT && !/parentFileNameHint/iu.test(text));
  return isNamed ? { references } : { undecided: 'the VMDK descriptor has a parent that it does not name' };
}
