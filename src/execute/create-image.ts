import type { StoredFormat } from '../core/import-form.ts';
import type { ImageRecord } from '../core/record.ts';
import { createVolume, volumeXml } from '../libvirt/volume.ts';
import type { Environment } from './environment.ts';
import { type ImageToMake, makeImage } from './make-image.ts';
import { readContent } from './read-content.ts';

/** An image with nothing in it. */
export interface EmptyImage extends Omit<ImageToMake, 'source' | 'stagingNames'> {
  readonly format: StoredFormat;
  /** As domains will see it. */
  readonly capacityBytes: bigint;
}

/**
 * Makes an image with nothing in it, which takes up no room, and offers it. A raw one has no checksum: to make one would
 * be to read as many zeros as it is large.
 *
 * @throws PoolkeeperError; then nothing is left.
 */
export function createImage(job: EmptyImage, environment: Environment): Promise<ImageRecord> {
  const { format, capacityBytes, volumeName } = job;
  const { connection, poolName, permissions } = environment;
  return makeImage({ ...job, source: undefined, stagingNames: [] }, environment, async () => {
    const xml = volumeXml({ name: volumeName, capacityBytes, allocationBytes: 0n, format, permissions });
    await createVolume(connection, poolName, xml);
    const tags = { x_poolkeeper_format: format };
    if (format === 'raw') return { provenance: { sizeBytes: capacityBytes, digest: undefined }, tags };
    const reading = { ...environment, algorithm: 'sha256' } as const;
    const { sizeBytes, digest } = await readContent(poolName, volumeName, reading);
    return {
      provenance: { sizeBytes, digest },
      tags: { ...tags, size: String(sizeBytes), sha256: digest.hex },
    };
  });
}
