import { decodeUtf8, viewOf } from './header-text.ts';
import type { Findings, OpenedImage } from './image.ts';

const HEADER_BYTES = 92;
const MAX_XML_BYTES = 4 << 20;
const NEWEST_PLAUSIBLE_VERSION = 255;

/**
 * Reads the domain XML out of a save image of libvirt's QEMU driver. The header is in the byte order of the host that
 * wrote it. Source: libvirt's src/qemu/qemu_saveimage.h.
 */
export async function inspectSavedDomain({ reader, head }: OpenedImage): Promise<Findings> {
  if (head.length < HEADER_BYTES) return { undecided: 'the header of the save image is cut off' };
  const view = viewOf(head);
  const isLittleEndian = view.getUint32(16, true) <= NEWEST_PLAUSIBLE_VERSION;
  const length = view.getUint32(20, isLittleEndian);
  if (length === 0 || length > MAX_XML_BYTES)
    return { undecided: `the save image holds ${length} bytes of domain XML` };
  const data = await reader.read(BigInt(HEADER_BYTES), length);
  const end = data.indexOf(0);
  const { text, isExact } = decodeUtf8(end < 0 ? data : data.subarray(0, end));
  if (data.length < length || !text.trimStart().startsWith('<'))
    return { undecided: 'the save image holds no domain XML' };
  return { savedDomainXml: text, undecided: isExact ? undefined : 'the domain XML in the save image is not UTF-8' };
}
