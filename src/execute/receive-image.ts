import type { ImportFormat, StoredFormat } from '../core/import-form.ts';
import { storedFormat } from '../core/import-form.ts';
import { formatBytes } from '../core/byte-size.ts';
import type { ImageSink } from '../core/ports.ts';
import type { Digest, ImageType } from '../core/record.ts';
import { NoSpaceError } from '../errors.ts';
import { volumesOf } from '../gather/image-edges.ts';
import { checkDownloadedHeader, DOWNLOAD_HEAD_BYTES } from '../image-format/download-check.ts';
import { checkImportedHeader, checkImportedLength } from '../image-format/import-check.ts';
import { assertWholeQcow2 } from '../image-format/qcow2-extent.ts';
import { parseQcow2Header, qcow2HeaderAreaBytes } from '../image-format/qcow2.ts';
import { detectFormat } from '../image-format/signature.ts';
import { assertWholeVmdk } from '../image-format/vmdk-extent.ts';
import { openUpload } from '../libvirt/stream.ts';
import { createVolume, volumeXml } from '../libvirt/volume.ts';
import { type Arrived, type Intake, lookAhead, takeIn } from '../transfer/image-intake.ts';
import { type ImageSource, openFileSource } from '../transfer/image-source.ts';
import { ImageWriter } from '../transfer/image-writer.ts';
import type { Environment } from './environment.ts';
import { withQcow2File } from './spool-image.ts';

/** An image to take from a source into a volume. */
export interface Reception {
  /** For messages. */
  readonly name: string;
  readonly type: ImageType;
  readonly source: ImageSource;
  /** What the bytes must be, as they come. */
  readonly digest: Digest | undefined;
  /** The room that there is for it; `undefined`: not known. */
  readonly roomBytes: bigint | undefined;
  /** Where it goes when it stays as it is, and where it waits when it has to be converted. */
  readonly volumeName: string;
  readonly stagingName: string;
  onProgress(this: void, bytes: bigint): void;
}

/** An image that lies in a volume, whole and checked. */
export interface Received {
  readonly found: ImportFormat;
  readonly stored: StoredFormat;
  readonly volumeName: string;
  readonly sizeBytes: bigint;
  /** Of the bytes in the volume. */
  readonly digest: Digest;
  readonly arrived: Arrived;
}

/**
 * Brings the bytes of an image into a volume, unpacked, and checks them. Nothing is written before the first bytes are
 * found harmless; the volume is made raw, so that libvirt writes no header of its own. Memory does not depend on the size.
 *
 * @throws TrustError, IntegrityError, NoSpaceError, FailureError, SourceError, LibvirtError; the volume may be there then.
 */
export async function receiveImage(reception: Reception, environment: Environment): Promise<Received> {
  const { signal } = environment;
  const intake = await takeIn(reception.source, { ...reception, signal });
  try {
    const { head, bytes } = await lookAhead(intake.bytes, DOWNLOAD_HEAD_BYTES);
    const image = { ...intake, bytes };
    return detectFormat(head) === 'vhdx'
      ? await receiveForeign('vhdx', image, { reception, environment })
      : await receive(image, reception, environment);
  } finally {
    await intake.close();
  }
}

/** QEMU opens no VHDX image that has a parent, and whatever else would be opened with it is not a part of the format. */
async function receiveForeign(
  found: ImportFormat,
  intake: Image,
  { reception, environment }: { readonly reception: Reception; readonly environment: Environment },
): Promise<Received> {
  let arrived: Arrived | undefined;
  const check = (): void => {
    arrived = intake.arrived();
  };
  const convert = async (path: string): Promise<Received> => {
    const converted = await openFileSource(path, environment.signal);
    try {
      const image = { ...converted, arrived: () => arrived ?? intake.arrived() };
      return { ...(await receive(image, reception, environment)), found };
    } finally {
      await converted.close();
    }
  };
  return withQcow2File({ format: found, bytes: intake.bytes, check }, environment, convert);
}

async function receive(image: Image, reception: Reception, environment: Environment): Promise<Received> {
  assertRoom(image, reception);
  const upload = new Upload(reception, image, environment);
  const writer = new ImageWriter({
    algorithm: 'sha256',
    headBytes: DOWNLOAD_HEAD_BYTES,
    openSink: (head) => upload.open(head),
  });
  try {
    let sizeBytes = 0n;
    for await (const chunk of image.bytes) {
      sizeBytes += BigInt(chunk.length);
      await writer.add(chunk);
    }
    const digest = { algorithm: 'sha256', hex: await writer.drain() } as const;
    const arrived = image.arrived();
    await writer.finish();
    const received = { ...upload.target(), sizeBytes, digest, arrived };
    await assertWhole(received, reception, environment);
    return received;
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

function assertRoom({ sizeBytes }: Image, { name, roomBytes }: Reception): void {
  if (sizeBytes === undefined || roomBytes === undefined || sizeBytes <= roomBytes) return;
  const figures = `it needs ${formatBytes(sizeBytes)}, and ${formatBytes(roomBytes)} are free for it`;
  throw new NoSpaceError(`cannot import image '${name}': ${figures}`, {
    hint: 'free some space where the storage pool is',
  });
}

type Image = Pick<Intake, 'sizeBytes' | 'bytes' | 'arrived'>;

type Target = Pick<Received, 'found' | 'stored' | 'volumeName'>;

/** Chooses the volume by the first bytes of the image. */
class Upload {
  readonly #reception: Reception;
  readonly #sizeBytes: bigint | undefined;
  readonly #environment: Environment;
  #target: Target | undefined;

  constructor(reception: Reception, { sizeBytes }: Image, environment: Environment) {
    this.#reception = reception;
    this.#sizeBytes = sizeBytes;
    this.#environment = environment;
  }

  target(): Target {
    if (this.#target === undefined) throw new Error('nothing has been written');
    return this.#target;
  }

  async open(head: Uint8Array): Promise<ImageSink> {
    const { name, type } = this.#reception;
    const { connection, poolName, permissions } = this.#environment;
    const found = checkImportedHeader(head, { name, type, sizeBytes: this.#sizeBytes });
    const stored = storedFormat(found, type);
    const volumeName = found === stored ? this.#reception.volumeName : this.#reception.stagingName;
    this.#target = { found, stored, volumeName };
    const size = { capacityBytes: this.#sizeBytes ?? 0n, allocationBytes: 0n };
    const xml = volumeXml({ name: volumeName, ...size, format: 'raw', permissions });
    await createVolume(connection, poolName, xml);
    return openUpload(connection, poolName, volumeName, { offset: 0n, length: 0n });
  }
}

/** What the first bytes do not tell: whether the last ones are there. */
async function assertWhole(
  { found, volumeName, sizeBytes }: Omit<Received, 'arrived'>,
  { name, type }: Reception,
  { connection, poolName }: Environment,
): Promise<void> {
  checkImportedLength(found, sizeBytes, { name, type, sizeBytes });
  if (found !== 'qcow2' && found !== 'vmdk') return;
  const readVolume = volumesOf(connection);
  const read = (offset: bigint, length: number) => readVolume({ pool: poolName, name: volumeName }, offset, length);
  if (found === 'vmdk') return assertWholeVmdk({ read }, { name, sizeBytes });
  const head = await read(0n, DOWNLOAD_HEAD_BYTES);
  checkDownloadedHeader(head, { name, sizeBytes });
  const header = parseQcow2Header(await read(0n, qcow2HeaderAreaBytes(head)));
  await assertWholeQcow2({ read }, header, { name, sizeBytes });
}
