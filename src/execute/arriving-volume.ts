import { type PartialImage, progressNotes, type Validators } from '../core/partial-image.ts';
import type { ImageSink } from '../core/ports.ts';
import type { WantedImage } from '../core/selection.ts';
import { checkDownloadedHeader } from '../image-format/download-check.ts';
import { fileIdentity } from '../gather/volume-file.ts';
import { isConnectionLost } from '../libvirt/error-codes.ts';
import { downloadVolume } from '../libvirt/stream.ts';
import { createVolume, volumeXml } from '../libvirt/volume.ts';
import type { HeldPart, SinkStart } from '../transfer/image-transfer.ts';
import { openCheckpointedUpload } from './checkpointed-upload.ts';
import type { Environment } from './environment.ts';
import { makeVolumeDurable } from './make-durable.ts';
import { findVolume, removeOwnVolume } from './own-volume.ts';

/** Which image is on its way into which volume. */
export interface Arrival {
  readonly image: WantedImage;
  readonly volumeName: string;
  /** What an earlier run left of it, if anything. */
  readonly partial: PartialImage | undefined;
  /** The journal's intent, which takes down how far it has come. */
  readonly intentId: number;
}

/** The volume of an image on its way: made when the first bytes are found harmless, and filled from where it stands. */
export class ArrivingVolume {
  readonly #arrival: Arrival;
  readonly #environment: Environment;
  #existence: 'absent' | 'uncertain' | 'there';
  #held: Validators & { readonly bytes: bigint };

  constructor(arrival: Arrival, environment: Environment) {
    const { heldBytes: bytes = 0n, etag, lastModified } = arrival.partial ?? {};
    this.#arrival = arrival;
    this.#environment = environment;
    this.#existence = arrival.partial === undefined ? 'absent' : 'there';
    this.#held = { bytes, etag, lastModified };
  }

  /** Whether there is something that has to be taken up again or removed; also when nobody knows. */
  get mayExist(): boolean {
    return this.#existence !== 'absent';
  }

  /** The part of the image that is in the volume for certain, and would be after a loss of power. */
  held(): HeldPart | undefined {
    const { connection, poolName } = this.#environment;
    const { bytes } = this.#held;
    if (bytes === 0n) return undefined;
    const read = () => downloadVolume(connection, poolName, this.#arrival.volumeName, { length: bytes });
    return { ...this.#held, read };
  }

  /**
   * Opens the volume once the header is found harmless. It is created raw and exactly as long as the image, so that
   * libvirt writes no header of its own and nothing is left behind the image's last byte; libvirt tells the format by
   * content.
   */
  async open(head: Uint8Array, { offset, etag, lastModified }: SinkStart): Promise<ImageSink> {
    const { image, volumeName } = this.#arrival;
    const { sizeBytes, identity } = image;
    const { connection, poolName } = this.#environment;
    checkDownloadedHeader(head, { name: `${identity.product} ${identity.version}`, sizeBytes });
    // Before the first byte overwrites what an earlier note speaks of.
    await this.#note({ bytes: offset, etag, lastModified });
    if (this.#existence !== 'there') await this.#create();
    const onHeld = async (bytes: bigint): Promise<void> => {
      await makeVolumeDurable(this.#environment, volumeName);
      await this.#note({ bytes, etag, lastModified });
    };
    return openCheckpointedUpload({ connection, poolName, volumeName, offset, sizeBytes, onHeld });
  }

  /** Removes the volume. Nothing may use it. */
  async remove(): Promise<void> {
    await removeOwnVolume(this.#environment, this.#arrival.volumeName);
  }

  /** When libvirtd dies meanwhile, its answer is lost, but perhaps not the volume. */
  async #create(): Promise<void> {
    if (this.#existence !== 'uncertain' || !(await this.#isAsMade())) await this.#make();
    this.#existence = 'there';
  }

  async #make(): Promise<void> {
    const { volumeName, image } = this.#arrival;
    const { connection, poolName, permissions, journal } = this.#environment;
    const { sizeBytes: capacityBytes } = image;
    try {
      const xml = volumeXml({ name: volumeName, capacityBytes, allocationBytes: 0n, format: 'raw', permissions });
      const made = fileIdentity(await createVolume(connection, poolName, xml));
      // A later run only goes on with this very file.
      if (made !== undefined) await journal.note(this.#arrival.intentId, { made }, true);
    } catch (error) {
      if (isConnectionLost(error)) this.#existence = 'uncertain';
      throw error;
    }
  }

  async #isAsMade(): Promise<boolean> {
    const { volumeName, image } = this.#arrival;
    return (await findVolume(this.#environment, volumeName))?.lengthBytes === image.sizeBytes;
  }

  async #note(held: Validators & { readonly bytes: bigint }): Promise<void> {
    this.#held = held;
    await this.#environment.journal.note(this.#arrival.intentId, progressNotes(held.bytes, held));
  }
}
