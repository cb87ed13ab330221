import { IntegrityError } from '../errors.ts';
import { viewOf } from './header-text.ts';
import type { ImageReader } from './image.ts';
import { QCOW2_INCOMPATIBLE, type Qcow2Header } from './qcow2.ts';

/** Bits 9 to 55 of an entry: where a table or a cluster lies. */
const OFFSET_MASK = 0x00ff_ffff_ffff_fe00n;
const COMPRESSED = 1n << 62n;
const SECTOR_BYTES = 512n;

/** How much of a table is read at once. */
const READ_BYTES = 1 << 20;

/**
 * Checks that everything that a qcow2 image refers to lies within it, so that one that was cut off is found out although
 * its header is whole. Source: QEMU's docs/interop/qcow2.txt.
 *
 * @throws IntegrityError when something lies behind its end.
 */
export async function assertWholeQcow2(
  reader: Pick<ImageReader, 'read'>,
  header: Qcow2Header,
  { name, sizeBytes }: { readonly name: string; readonly sizeBytes: bigint },
): Promise<void> {
  const clusterBytes = 1n << BigInt(header.clusterBits);
  const hasExtendedL2 = (header.incompatibleFeatures & QCOW2_INCOMPATIBLE.extendedL2) !== 0n;
  const entryBytes = hasExtendedL2 ? 16 : 8;
  const assertInside = (end: bigint): void => {
    if (end > sizeBytes) throw cutOff(name, end, sizeBytes);
  };
  const seen = new Set([0n]);
  for await (const l1 of entries(reader, header.l1Offset, { bytes: BigInt(header.l1Entries) * 8n, entryBytes: 8 })) {
    const tableAt = l1 & OFFSET_MASK;
    if (seen.has(tableAt)) continue;
    seen.add(tableAt);
    assertInside(tableAt + clusterBytes);
    for await (const l2 of entries(reader, tableAt, { bytes: clusterBytes, entryBytes })) {
      assertInside(endOfCluster(l2, header.clusterBits));
    }
  }
}

/** Where the data that an L2 entry refers to ends; 0 when it refers to none. */
function endOfCluster(entry: bigint, clusterBits: number): bigint {
  if ((entry & COMPRESSED) !== 0n) {
    const offsetBits = 62n - (BigInt(clusterBits) - 8n);
    const offset = entry & ((1n << offsetBits) - 1n);
    const moreSectors = (entry & (COMPRESSED - 1n)) >> offsetBits;
    // The last sector may be shared with what follows, or be the end of the file.
    return offset - (offset % SECTOR_BYTES) + moreSectors * SECTOR_BYTES + 1n;
  }
  const offset = entry & OFFSET_MASK;
  // The last cluster of a file may be written only in part.
  return offset === 0n ? 0n : offset + 1n;
}

async function* entries(
  reader: Pick<ImageReader, 'read'>,
  offset: bigint,
  { bytes, entryBytes }: { readonly bytes: bigint; readonly entryBytes: number },
): AsyncGenerator<bigint> {
  for (let done = 0n; done < bytes;) {
    const length = Number(bytes - done < BigInt(READ_BYTES) ? bytes - done : BigInt(READ_BYTES));
    const table = await reader.read(offset + done, length);
    const view = viewOf(table);
    for (let at = 0; at + 8 <= table.length; at += entryBytes) yield view.getBigUint64(at);
    done += BigInt(length);
  }
}

function cutOff(name: string, end: bigint, sizeBytes: bigint): IntegrityError {
  return new IntegrityError(`image '${name}' is cut off: it refers to byte ${end}, and has ${sizeBytes}`, {
    expected: String(end),
    found: String(sizeBytes),
    hint: 'fetch it again, and give its checksum with --digest',
  });
}
