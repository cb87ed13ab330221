import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ImportFormat } from '../core/import-form.ts';
import { PoolkeeperError } from '../errors.ts';
import { convertToQcow2 } from '../image-format/qemu-img.ts';
import { fileError } from '../state/file-error.ts';
import type { Environment } from './environment.ts';

/** An image in a format that libvirt does not know. */
export interface ForeignImage {
  readonly format: ImportFormat;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Called when all bytes are there, before anything looks at them. */
  check(this: void): void;
}

/**
 * Makes a qcow2 file of an image on this host, for the time of `use`. It lies in the pool's state; only the holder of the
 * pool's lock comes here, so what a killed run left is removed first.
 *
 * @throws NoSpaceError, FailureError, InterruptedError; what `bytes` and `check` throw.
 */
export async function withQcow2File<T>(
  { format, bytes, check }: ForeignImage,
  { paths, signal }: Pick<Environment, 'paths' | 'signal'>,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const dir = join(paths.root, 'spool');
  const [source, target] = [join(dir, `image.${format}`), join(dir, 'image.qcow2')];
  await emptyDir(dir);
  try {
    await write(source, bytes);
    check();
    await convertToQcow2({ path: source, format, target, signal });
    await rm(source);
    return await use(target);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function emptyDir(dir: string): Promise<void> {
  try {
    await rm(dir, { recursive: true, force: true });
    await mkdir(dir, { mode: 0o700 });
  } catch (cause) {
    throw fileError(`cannot make directory '${dir}'`, cause);
  }
}

async function write(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    await pipeline(bytes, createWriteStream(path, { mode: 0o600 }));
  } catch (cause) {
    if (cause instanceof PoolkeeperError) throw cause;
    throw fileError(`cannot write '${path}'`, cause);
  }
}
