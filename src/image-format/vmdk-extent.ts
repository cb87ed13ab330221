import { IntegrityError } from '../errors.ts';
import { viewOf } from './header-text.ts';
import type { ImageReader } from './image.ts';

const SECTOR_BYTES = 512n;
const MAGIC = 0x564d_444b;
const COMPRESSED = 1 << 16;
/** What a header says whose image was written as a stream: the header that counts stands near the end. */
const DIRECTORY_AT_END = 0xffff_ffff_ffff_ffffn;
/** From the footer's marker to the end of the stream. */
const FOOTER_BYTES = 1536n;
/** In front of a compressed grain: where it belongs, and its length. */
const GRAIN_MARKER_BYTES = 12n;
/** Offsets of grains up to this one have a meaning of their own: there is none, or it is all zeros. */
const LAST_SPECIAL_GRAIN = 1;
/** As QEMU's. */
const MOST_ENTRIES = 512;
/** Twice as many as an image of 64 TiB has with the usual grains. */
const MOST_TABLES = 4 * 1024 * 1024;

interface Extent {
  readonly capacitySectors: bigint;
  readonly grainSectors: bigint;
  readonly tableEntries: number;
  readonly directorySector: bigint;
  readonly isCompressed: boolean;
}

/**
 * Checks that everything that a sparse VMDK extent refers to lies within it. QEMU would take what is cut off for zeros.
 * Source: VMware's Virtual Disk Format 5.0; QEMU's block/vmdk.c.
 *
 * @throws IntegrityError when something lies behind its end.
 */
export async function assertWholeVmdk(
  reader: Pick<ImageReader, 'read'>,
  { name, sizeBytes }: { readonly name: string; readonly sizeBytes: bigint },
): Promise<void> {
  const extent = await readExtent(reader, { name, sizeBytes });
  const { capacitySectors, grainSectors, tableEntries, directorySector, isCompressed } = extent;
  const tableSectors = grainSectors * BigInt(tableEntries);
  const tables = Number((capacitySectors + tableSectors - 1n) / tableSectors);
  if (tables > MOST_TABLES) throw cutOff(name, `has a grain directory of ${tables} entries`);
  const grainBytes = isCompressed ? GRAIN_MARKER_BYTES : grainSectors * SECTOR_BYTES;
  const assertInside = (end: bigint): void => {
    if (end > sizeBytes) throw cutOff(name, `refers to byte ${end}, and has ${sizeBytes}`);
  };
  assertInside(directorySector * SECTOR_BYTES + BigInt(tables) * 4n);
  let furthest = 0;
  for (const table of await readNumbers(reader, directorySector, tables)) {
    if (table === 0) continue;
    assertInside(BigInt(table) * SECTOR_BYTES + BigInt(tableEntries) * 4n);
    furthest = Math.max(furthest, ...(await readNumbers(reader, BigInt(table), tableEntries)));
  }
  if (furthest <= LAST_SPECIAL_GRAIN) return;
  assertInside(BigInt(furthest) * SECTOR_BYTES + grainBytes);
  if (isCompressed) assertInside(await endOfGrain(reader, furthest));
}

/** A compressed grain says itself how long it is. */
async function endOfGrain(reader: Pick<ImageReader, 'read'>, sector: number): Promise<bigint> {
  const at = BigInt(sector) * SECTOR_BYTES;
  const marker = viewOf(await reader.read(at, Number(GRAIN_MARKER_BYTES)));
  return at + GRAIN_MARKER_BYTES + BigInt(marker.getUint32(8, true));
}

async function readExtent(
  reader: Pick<ImageReader, 'read'>,
  { name, sizeBytes }: { readonly name: string; readonly sizeBytes: bigint },
): Promise<Extent> {
  const first = parseExtent(await reader.read(0n, Number(SECTOR_BYTES)), name);
  if (first.directorySector !== DIRECTORY_AT_END) return first;
  const footerAt = sizeBytes - FOOTER_BYTES + SECTOR_BYTES;
  if (footerAt <= 0n) throw cutOff(name, 'has no footer');
  const last = parseExtent(await reader.read(footerAt, Number(SECTOR_BYTES)), name);
  if (last.directorySector === DIRECTORY_AT_END) throw cutOff(name, 'has no footer');
  return last;
}

function parseExtent(header: Uint8Array, name: string): Extent {
  if (header.length < Number(SECTOR_BYTES)) throw cutOff(name, 'has no footer');
  const view = viewOf(header);
  const extent = {
    capacitySectors: view.getBigUint64(12, true),
    grainSectors: view.getBigUint64(20, true),
    tableEntries: view.getUint32(44, true),
    directorySector: view.getBigUint64(56, true),
    isCompressed: (view.getUint32(8, true) & COMPRESSED) !== 0,
  };
  if (view.getUint32(0, true) !== MAGIC) throw cutOff(name, 'has no footer');
  const { tableEntries, grainSectors } = extent;
  if (tableEntries < 1 || tableEntries > MOST_ENTRIES || grainSectors < 1n)
    throw cutOff(name, `has tables of ${tableEntries} entries for grains of ${grainSectors} sectors`);
  return extent;
}

async function readNumbers(
  reader: Pick<ImageReader, 'read'>,
  sector: bigint,
  count: number,
): Promise<readonly number[]> {
  const bytes = await reader.read(sector * SECTOR_BYTES, count * 4);
  const view = viewOf(bytes);
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_entry, index) => view.getUint32(index * 4, true));
}

function cutOff(name: string, what: string): IntegrityError {
  return new IntegrityError(`image '${name}' is cut off or damaged: it ${what}`, {
    hint: 'fetch it again, and give its checksum with --digest',
  });
}
