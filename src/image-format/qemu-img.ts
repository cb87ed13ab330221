import { execFile } from 'node:child_process';
import { FailureError } from '../errors.ts';

/** Asks for the backing file of one image, without following it. `undefined` when the image has none. */
export type QemuImgInfo = (path: string, format: string) => Promise<string | undefined>;

/** How to run qemu-img. */
export interface QemuImgOptions {
  /** A name searched in PATH, or a path. */
  readonly command?: string;
  readonly timeoutMs?: number;
}

const MAX_OUTPUT_BYTES = 1 << 20;
const INSTALL_HINT = "install it, e.g. 'apt-get install qemu-utils'";

/**
 * Makes a reader of image headers out of `qemu-img info`. The path is taken literally: neither a protocol prefix, nor
 * a comma, nor a leading dash means anything in it. No lock is taken, so running domains do not matter.
 *
 * The reader throws FailureError when qemu-img is missing, fails, takes too long or answers something else than JSON.
 */
export function createQemuImgInfo({ command = 'qemu-img', timeoutMs = 10_000 }: QemuImgOptions = {}): QemuImgInfo {
  return async (path, format) => {
    const image = `driver=${format},file.filename=${path.replaceAll(',', ',,')}`;
    const output = await run(command, ['info', '-U', '--output=json', '--image-opts', image], { path, timeoutMs });
    return backingFilename(output, path);
  };
}

/** A file to convert, and where to. */
export interface Conversion {
  readonly path: string;
  readonly format: string;
  readonly target: string;
  readonly signal: AbortSignal;
}

/** Makes a qcow2 file of an image on this host. @throws FailureError when qemu-img is missing or fails. */
export function convertToQcow2({ path, format, target, signal }: Conversion): Promise<void> {
  const args = ['convert', '-f', format, '-O', 'qcow2', path, target];
  return new Promise((resolve, reject) => {
    execFile('qemu-img', args, { signal, killSignal: 'SIGKILL' }, (error) => {
      if (error === null) resolve();
      else reject(signal.aborted ? signal.reason : failure(error, path));
    });
  });
}

function run(command: string, args: readonly string[], about: { path: string; timeoutMs: number }): Promise<string> {
  const limits = { timeout: about.timeoutMs, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES } as const;
  return new Promise((resolve, reject) => {
    try {
      execFile(command, args, limits, (error, stdout) =>
        error === null ? resolve(stdout) : reject(failure(error, about.path)),
      );
    } catch (error) {
      reject(failure(error, about.path));
    }
  });
}

function failure(cause: unknown, path: string): FailureError {
  const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  if (isMissing)
    return new FailureError(`cannot inspect '${path}': qemu-img is missing`, { cause, hint: INSTALL_HINT });
  return new FailureError(`qemu-img cannot inspect '${path}'`, { cause, hint: `run 'qemu-img info' on it to see why` });
}

function backingFilename(output: string, path: string): string | undefined {
  const info = parse(output, path);
  if (typeof info !== 'object' || info === null || !('virtual-size' in info)) {
    throw new FailureError(`qemu-img does not describe '${path}'`);
  }
  const name = 'backing-filename' in info ? info['backing-filename'] : undefined;
  return typeof name === 'string' ? name : undefined;
}

function parse(output: string, path: string): unknown {
  try {
    return JSON.parse(output);
  } catch (cause) {
    throw new FailureError(`qemu-img does not answer in JSON about '${path}'`, { cause });
  }
}
