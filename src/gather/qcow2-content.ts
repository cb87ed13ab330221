import { IntegrityError } from '../errors.ts';
import { parseQcow2Header, qcow2HeaderAreaBytes, type Qcow2Header } from '../image-format/qcow2.ts';
import type { Connection } from '../libvirt/connection.ts';
import { volumesOf } from './image-edges.ts';

/** What a qcow2 volume says of itself. */
export interface Qcow2Content {
  readonly header: Qcow2Header;
  /** Not one cluster was ever written to it: it shows what it stands on, or zeros. */
  readonly isEmpty: boolean;
}

/** All qcow2 headers begin within the first cluster, of which this is the smallest that is always enough to tell its size. */
const HEAD_BYTES = 65_536;
/** QEMU's own limit (QCOW_MAX_L1_SIZE in block/qcow2.h). */
const LONGEST_TABLE_BYTES = 32 * 1024 * 1024;

/** A volume by name. */
interface VolumeName {
  readonly pool: string;
  readonly name: string;
}

/** Reads the header of a qcow2 volume through libvirt. @throws IntegrityError when no qcow2 image begins there. */
export async function readQcow2Header(connection: Connection, { pool, name }: VolumeName): Promise<Qcow2Header> {
  const read = volumesOf(connection);
  const head = await read({ pool, name }, 0n, HEAD_BYTES);
  const areaBytes = qcow2HeaderAreaBytes(head);
  return parseQcow2Header(areaBytes > head.length ? await read({ pool, name }, 0n, areaBytes) : head);
}

/**
 * Reads header and first table of a qcow2 volume through libvirt: an image without an entry in the latter has no cluster
 * of its own (docs/interop/qcow2.txt of QEMU).
 *
 * @throws IntegrityError when no qcow2 image begins there.
 */
export async function readQcow2(connection: Connection, volume: VolumeName): Promise<Qcow2Content> {
  const header = await readQcow2Header(connection, volume);
  const tableBytes = header.l1Entries * 8;
  if (tableBytes > LONGEST_TABLE_BYTES) throw new IntegrityError(`the first table has ${header.l1Entries} entries`);
  const { pool, name } = volume;
  const table = tableBytes === 0 ? [] : await volumesOf(connection)({ pool, name }, header.l1Offset, tableBytes);
  return { header, isEmpty: header.snapshotCount === 0 && table.every((byte) => byte === 0) };
}
