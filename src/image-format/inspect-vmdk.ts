import { decodeBackingString } from '../core/backing-string.ts';
import { decodeUtf8, mergeFindings, viewOf } from './header-text.ts';
import type { Findings, OpenedImage } from './image.ts';

const SECTOR_BYTES = 512n;
const MAX_DESCRIPTOR_BYTES = 1 << 20;
const MAX_EXTENTS = 4096;
const NO_PARENT = 'ffffffff';
const EXTENT = /^[ \t]*(?:RW|RDONLY|NOACCESS)[ \t]+\d+[ \t]+(\w+)(?:[ \t]+"([^"]*)")?/u;

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
  if (end < 0 && bytes.length === MAX_DESCRIPTOR_BYTES) return { undecided: 'the VMDK descriptor does not end' };
  const { text, isExact } = decodeUtf8(end < 0 ? bytes : bytes.subarray(0, end));
  const lines = text.split(/\r?\n/u);
  if (!/^\s*#/u.test(text)) return { undecided: `there is no VMDK descriptor at offset ${offset}` };
  const findings = mergeFindings(extentFindings(lines, image), parentFindings(lines, image.directory));
  return isExact ? findings : { ...findings, undecided: findings.undecided ?? 'the VMDK descriptor is not UTF-8' };
}

/** A monolithic sparse image names itself as its only extent; that is no reference. */
function extentFindings(lines: readonly string[], { directory, reader }: OpenedImage): Findings {
  const extents = lines.flatMap((line, index) => {
    const [, type = '', name] = EXTENT.exec(line) ?? [];
    return type === '' || type === 'ZERO' ? [] : [{ name, place: `VMDK descriptor, extent in line ${index + 1}` }];
  });
  if (extents.length > MAX_EXTENTS) return { undecided: `the VMDK descriptor has ${extents.length} extents` };
  if (extents.some(({ name }) => name === undefined || name === ''))
    return { undecided: 'a VMDK extent has no readable name' };
  const own = reader.path?.slice(reader.path.lastIndexOf('/') + 1);
  const others = extents.filter(({ name }) => name !== own);
  return { references: others.flatMap(({ name = '', place }) => decodeBackingString(name, directory, place)) };
}

function parentFindings(lines: readonly string[], directory: string | undefined): Findings {
  const hint = valueOf(lines, 'parentFileNameHint');
  if (hint !== undefined && hint !== '') {
    return { references: decodeBackingString(hint, directory, 'VMDK descriptor, parentFileNameHint') };
  }
  const parent = valueOf(lines, 'parentCID')?.toLowerCase() ?? NO_PARENT;
  if (hint === undefined && parent === NO_PARENT) return {};
  return { undecided: 'the VMDK descriptor has a parent that it does not name' };
}

function valueOf(lines: readonly string[], key: string): string | undefined {
  const pattern = new RegExp(`^[ \\t]*${key}[ \\t]*=[ \\t]*(?:"([^"]*)"|(\\S*))`, 'iu');
  const match = lines.map((line) => pattern.exec(line)).find((found) => found !== null);
  return match?.[1] ?? match?.[2];
}
