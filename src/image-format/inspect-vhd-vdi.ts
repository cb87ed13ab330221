import { viewOf } from './header-text.ts';
import type { Findings, OpenedImage } from './image.ts';

const VPC_FOOTER_BYTES = 512;
const VPC_TYPES_WITHOUT_PARENT = new Set([2, 3]);
const VPC_DIFFERENCING = 4;
const VPC_PARENT_NAME = { offset: 64, length: 512 };
const VDI_HEADER_BYTES = 456;
const VDI_TYPES_WITHOUT_PARENT = new Set([1, 2]);
const VDI_LINK = { offset: 424, end: 456 };

/**
 * Reads a VPC (VHD) image. A differencing one names its parent in a Windows manner, so it stays undecided; the name is
 * returned as text. Source: Microsoft's Virtual Hard Disk Image Format Specification.
 */
export async function inspectVpc({ reader, head }: OpenedImage): Promise<Findings> {
  if (head.length < VPC_FOOTER_BYTES) return { undecided: 'the VPC header is cut off' };
  const view = viewOf(head);
  const type = view.getUint32(60);
  if (VPC_TYPES_WITHOUT_PARENT.has(type)) return {};
  if (type !== VPC_DIFFERENCING) return { undecided: `the VPC header has the unknown disk type ${type}` };
  const at = view.getBigUint64(16);
  const undecided = 'a differencing VPC image names its parent in a way that cannot be followed';
  if (at > 1n << 62n) return { undecided };
  const name = await reader.read(at + BigInt(VPC_PARENT_NAME.offset), VPC_PARENT_NAME.length);
  const value = new TextDecoder('utf-16be').decode(name).replace(/\0.*$/su, '');
  return { undecided, references: [{ kind: 'text', value, evidence: 'VPC header: parent unicode name' }] };
}

/** Reads a VDI image. A differencing one names its parent only by UUID, so it stays undecided. */
export async function inspectVdi({ head }: OpenedImage): Promise<Findings> {
  if (head.length < VDI_HEADER_BYTES) return { undecided: 'the VDI header is cut off' };
  const type = viewOf(head).getUint32(76, true);
  const hasLink = head.subarray(VDI_LINK.offset, VDI_LINK.end).some((byte) => byte !== 0);
  if (VDI_TYPES_WITHOUT_PARENT.has(type) && !hasLink) return {};
  return { undecided: 'a VDI image of this type names its parent only by UUID' };
}
