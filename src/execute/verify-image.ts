import { createHash } from 'node:crypto';
import { type Identity, identityText } from '../core/identity.ts';
import type { Progress } from '../core/ports.ts';
import type { Digest } from '../core/record.ts';
import { track } from '../core/track.ts';
import type { Connection } from '../libvirt/connection.ts';
import { downloadVolume } from '../libvirt/stream.ts';
import type { Volume } from '../libvirt/volume.ts';
import { runTask, type TaskDesk } from './run-task.ts';

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
export async function verifyImage({ volume, identity, digest }: Verification, desk: VerifyDesk): Promise<Digest> {
  const totalBytes = volume.lengthBytes ?? volume.capacityBytes;
  const task = { kind: 'verify', volumeName: volume.name, identity, totalBytes } as const;
  const work = { label: `verify ${identityText(identity)}`, totalBytes };
  return runTask(desk, task, (reachTask) =>
    track(desk.progress, work, async ({ reach }) => {
      const onBytes = (bytes: bigint): void => {
        reachTask(bytes);
        reach(bytes);
      };
      let hex = '';
      for (let reading = 0; reading < READINGS && hex !== digest.hex; reading += 1)
        hex = await readDigest(volume, digest.algorithm, { ...desk, onBytes });
      return { algorithm: digest.algorithm, hex };
    }),
  );
}

async function readDigest(
  { pool, name }: Volume,
  algorithm: Digest['algorithm'],
  {
    connection,
    signal,
    onBytes,
  }: Pick<VerifyDesk, 'connection' | 'signal'> & { readonly onBytes: (bytes: bigint) => void },
): Promise<string> {
  const hash = createHash(algorithm);
  let bytes = 0n;
  for await (const chunk of downloadVolume(connection, pool, name)) {
    signal.throwIfAborted();
    hash.update(chunk);
    bytes += BigInt(chunk.length);
    onBytes(bytes);
  }
  return hash.digest('hex');
}
