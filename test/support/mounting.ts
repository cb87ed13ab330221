import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Mounts of a test's own; `undo` them in an `after` hook, before their directories are removed. */
export class Mounting {
  readonly #points: string[] = [];
  readonly #fds: number[] = [];

  /** Unmounts everything, the last first. */
  async undo(): Promise<void> {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
    for (const point of this.#points.splice(0).toReversed()) await run('umount', ['-l', point]).catch(() => undefined);
  }

  /** Unmounts one of them. */
  async unmount(point: string): Promise<void> {
    await run('umount', ['-l', point]);
    this.#points.splice(this.#points.lastIndexOf(point), 1);
  }

  /** Shows a folder at a second place. */
  async bind(from: string, at: string): Promise<void> {
    await mkdir(at, { recursive: true });
    await this.#mount(at, ['--bind', from]);
  }

  /** Shows a file at a second place. */
  async bindFile(from: string, at: string): Promise<void> {
    await mkdir(dirname(at), { recursive: true });
    await writeFile(at, '');
    await this.#mount(at, ['--bind', from]);
  }

  /** Mounts a file system in memory. */
  async tmpfs(at: string): Promise<void> {
    await mkdir(at, { recursive: true });
    await this.#mount(at, ['-t', 'tmpfs', '-o', 'size=16m,mode=755', 'poolkeeper-test']);
  }

  /** Shows folders one above the other, by overlayfs. */
  async overlay(at: string, options: string): Promise<void> {
    await mkdir(at, { recursive: true });
    await this.#mount(at, ['-t', 'overlay', '-o', options, 'poolkeeper-test']);
  }

  /** Mounts a file system that never answers: FUSE without anybody behind it. Whoever looks at it waits for ever. */
  async dead(at: string): Promise<void> {
    await mkdir(at, { recursive: true });
    const fd = openSync('/dev/fuse', 'r+');
    this.#fds.push(fd);
    const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other';
    const call = `import ctypes, sys\nlibc = ctypes.CDLL(None, use_errno=True)\nsys.exit(libc.mount(b'dead', sys.argv[1].encode(), b'fuse', 0, b'${options}') and ctypes.get_errno())`;
    const child = spawn('/usr/bin/python3', ['-c', call, at], { stdio: ['ignore', 'inherit', 'inherit', fd] });
    const [status] = await once(child, 'close');
    if (status !== 0) throw new Error(`cannot mount a FUSE file system: errno ${String(status)}`);
    this.#points.push(at);
  }

  async #mount(at: string, words: readonly string[]): Promise<void> {
    await run('mount', [...words, at]);
    this.#points.push(at);
  }
}
