import { type PartialImage, progressNotes, type Validators } from '../core/partial-image.ts';
import type { ImageSink } from '../core/ports.ts';
import type { WantedImage } from '../core/selection.ts';
import { checkDownloadedHeader } from '../image-format/download-check.ts';
import { downloadVolume } from '../libvirt/stream.ts';
import { createVolume, volumeXml } from '../libvirt/volume.ts';
import type { HeldPart, SinkStart } from '../transfer/image-transfer.ts';
import { openCheckpointedUpload } from './checkpointed-upload.ts';
import type { Environment } from './environment.ts';
import { makeVolumeDurable } from './make-durable.ts';
import { removeOwnVolume } from './own-volume.ts';

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
  #exists: boolean;
  #held: Validators & { readonly bytes: bigint };

  constructor(arrival: Arrival, environment: Environment) {
    const { heldBytes: bytes = 0n, etag, lastModified } = arrival.partial ?? {};
    this.#arrival = arrival;
    this.#environment = environment;
    this.#exists = arrival.partial !== undefined;
    this.#held = { bytes, etag, lastModified };
  }

  get exists(): boolean {
    return this.#exists;
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
    if (!this.#exists) {
      const xml = volumeXml({ name: volumeName, capacityBytes: sizeBytes, allocationBytes: 0n, format: 'raw' });
      await createVolume(connection, poolName, xml);
      this.#exists = true;
    }
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

  async #note(held: Validators & { readonly bytes: bigint }): Promise<void> {
    this.#held = held;
    await this.#environment.journal.note(this.#arrival.intentId, progressNotes(held.bytes, held));
  }
}
