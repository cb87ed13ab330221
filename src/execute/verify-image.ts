import { type Identity, identityText } from '../core/identity.ts';
import type { Progress } from '../core/ports.ts';
import type { Digest } from '../core/record.ts';
import type { Connection } from '../libvirt/connection.ts';
import type { Volume } from '../libvirt/volume.ts';
import { readContent } from './read-content.ts';
import type { TaskDesk } from './run-task.ts';
import { runWatchedTask } from './watched-task.ts';

/** Where images are read, and who is told how far it is. */
export interface VerifyDesk extends TaskDesk {
  readonly connection: Connection;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** An image to read, and what it should be. */
export interface Verification {
  readonly volume: Volume;
  readonly identity: Identity;
  readonly digest: Digest;
}

/** A stream that broke off is not told from a short file, so what looks wrong is read once more. */
const READINGS = 2;

/**
 * Reads an image through libvirt and hashes it.
 *
 * @returns the digest that it has, by the algorithm of the one that it should have.
 * @throws LibvirtError; the reason of the signal.
 */
export function verifyImage({ volume, identity, digest }: Verification, desk: VerifyDesk): Promise<Digest> {
  const totalBytes = volume.lengthBytes ?? volume.capacityBytes;
  const task = { kind: 'verify', volumeName: volume.name, identity, totalBytes } as const;
  return runWatchedTask(desk, `verify ${identityText(identity)}`, task, async (onBytes) => {
    const { algorithm } = digest;
    let found: Digest = { algorithm, hex: '' };
    for (let reading = 0; reading < READINGS && found.hex !== digest.hex; reading += 1)
      ({ digest: found } = await readContent(volume.pool, volume.name, { ...desk, algorithm, onBytes }));
    return found;
  });
}
