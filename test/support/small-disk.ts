import { execFile } from 'node:child_process';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const KIB = 1024;

/** A small file system of its own, for tests of what happens when it is full. */
export class SmallDisk {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Mounts one of so many KiB; the directory is made if it is not there. */
  static async mount(path: string, { sizeKib, mode = '755' }: { sizeKib: number; mode?: string }): Promise<SmallDisk> {
    await mkdir(path, { recursive: true });
    try {
      await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeKib}k,mode=${mode}`, 'poolkeeper-test', path]);
    } catch (cause) {
      throw new Error('cannot mount a small file system: run this test as root, or in a container that may mount', {
        cause,
      });
    }
    return new SmallDisk(path);
  }

  /** Leaves so many KiB free. */
  async fill(freeKib: number): Promise<void> {
    await this.empty();
    const { bavail, bsize } = await statfs(this.path);
    await writeFile(this.#ballast, Buffer.alloc(Math.max(0, bavail * bsize - freeKib * KIB)));
  }

  /** Takes back what `fill` did. */
  async empty(): Promise<void> {
    await rm(this.#ballast, { force: true });
  }

  async makeReadOnly(isReadOnly: boolean): Promise<void> {
    await run('mount', ['-o', `remount,${isReadOnly ? 'ro' : 'rw'}`, this.path]);
  }

  async unmount(): Promise<void> {
    await run('umount', ['-l', this.path]);
  }

  get #ballast(): string {
    return join(this.path, 'ballast');
  }
}
