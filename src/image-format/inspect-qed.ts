import { decodeName, findingsOfName, viewOf } from './header-text.ts';
import type { Findings, OpenedImage } from './image.ts';

const HEADER_BYTES = 64;
const MAX_NAME_BYTES = 1023;
const BACKING_FILE = 1n;
const KNOWN_FEATURES = 7n;

/** Reads the backing file of a QED image. Source: QEMU's docs/interop/qed_spec.rst. */
export async function inspectQed({ reader, head, directory }: OpenedImage): Promise<Findings> {
  if (head.length < HEADER_BYTES) return { undecided: 'the QED header is cut off' };
  const view = viewOf(head);
  const features = view.getBigUint64(16, true);
  const [offset, length] = [view.getUint32(56, true), view.getUint32(60, true)];
  if ((features & ~KNOWN_FEATURES) !== 0n)
    return { undecided: `the QED header has unknown features 0x${features.toString(16)}` };
  if ((features & BACKING_FILE) === 0n && offset === 0) return {};
  const name = length > MAX_NAME_BYTES ? new Uint8Array() : await reader.read(BigInt(offset), length);
  if (name.length < length || name.length === 0) {
    return {
      undecided: `the QED header names a backing file of ${length} bytes at offset ${offset}, which cannot be read`,
    };
  }
  return findingsOfName(decodeName(name, offset), directory, 'QED backing file name');
}
