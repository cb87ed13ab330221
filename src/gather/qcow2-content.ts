import { IntegrityError } from '../errors.ts';
import { QCOW2_HEAD_BYTES, type Qcow2Header, readQcow2Header } from '../image-format/qcow2.ts';
import type { Connection } from '../libvirt/connection.ts';
import { volumesOf } from './image-edges.ts';

/** What a qcow2 volume says of itself. */
export interface Qcow2Content {
  readonly header: Qcow2Header;
  /** Not one cluster was ever written to it: it shows what it stands on, or zeros. */
  readonly isEmpty: boolean;
}

/** QEMU's own limit (QCOW_MAX_L1_SIZE in block/qcow2.h). */
const LONGEST_TABLE_BYTES = 32 * 1024 * 1024;

/** A volume by name. */
interface VolumeName {
  readonly pool: string;
  readonly name: string;
}

/**
 * Reads header and first table of a qcow2 volume through libvirt: an image without an entry in the latter has no cluster
 * of its own (docs/interop/qcow2.txt of QEMU).
 *
 * @throws IntegrityError when no qcow2 image begins there.
 */
export async function readQcow2(connection: Connection, { pool, name }: VolumeName): Promise<Qcow2Content> {
  const readVolume = volumesOf(connection);
  const read = (offset: bigint, length: number) => readVolume({ pool, name }, offset, length);
  const header = await readQcow2Header(await read(0n, QCOW2_HEAD_BYTES), { read });
  const tableBytes = header.l1Entries * 8;
  if (tableBytes > LONGEST_TABLE_BYTES) throw new IntegrityError(`the first table has ${header.l1Entries} entries`);
  const table = tableBytes === 0 ? [] : await read(header.l1Offset, tableBytes);
  return { header, isEmpty: header.snapshotCount === 0 && table.every((byte) => byte === 0) };
}
