import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { FailureError, IntegrityError, NoSpaceError, PoolkeeperError } from '../errors.ts';
import type { Compression } from './compression.ts';

/**
 * The programs that unpack. They check the checksums inside the files, know every variant of the formats, and keep
 * hostile input out of this process. So much memory is enough for what `xz -9` and `zstd --ultra` make.
 */
const PROGRAMS: Readonly<Record<Exclude<Compression, 'gzip'>, readonly [name: string, args: readonly string[]]>> = {
  xz: ['xz', ['--decompress', '--stdout', '--format=xz', '--memlimit-decompress=256MiB', '--quiet']],
  zstd: ['zstd', ['--decompress', '--stdout', '--memory=256MB', '--quiet', '--no-progress']],
};

const PACKAGES = { xz: 'xz-utils', zstd: 'zstd' } as const;

/** More than this is told nobody. */
const COMPLAINT_BYTES = 500;

/**
 * Unpacks what `packed` yields. Whoever stops early ends the work.
 *
 * @throws IntegrityError when it is damaged or cut off; FailureError when the program for it is missing; what `packed`
 * throws.
 */
export async function* unpack(
  compression: Compression,
  packed: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const worker = compression === 'gzip' ? gunzip() : program(compression);
  const feeding = feed(packed, worker.input);
  feeding.catch(() => undefined);
  try {
    const failure = yield* untilFailure(worker.output);
    await settled(feeding);
    await worker.ended;
    if (failure !== undefined) throw damaged(compression, failure);
  } finally {
    worker.stop();
  }
}

/** Why something failed is best told by who sends and by who works, not by the pipe between them. */
async function* untilFailure(output: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, unknown, undefined> {
  try {
    yield* output;
    return undefined;
  } catch (error) {
    return error;
  }
}

interface Worker {
  readonly input: Writable;
  readonly output: AsyncIterable<Uint8Array>;
  /** Rejects when the work did not come to a good end. */
  readonly ended: Promise<void>;
  stop(): void;
}

function gunzip(): Worker {
  const stream = createGunzip();
  stream.on('error', () => undefined);
  return { input: stream, output: stream, ended: Promise.resolve(), stop: () => stream.destroy() };
}

function program(compression: Exclude<Compression, 'gzip'>): Worker {
  const [name, args] = PROGRAMS[compression];
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };
  const child = spawn(name, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined);
  const ended = endOf(child, compression);
  ended.catch(() => undefined);
  return { input: child.stdin, output: child.stdout, ended, stop: () => child.kill('SIGKILL') };
}

function endOf(child: ChildProcessByStdio<Writable, Readable, Readable>, compression: 'xz' | 'zstd'): Promise<void> {
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, COMPLAINT_BYTES);
  });
  return new Promise((resolve, reject) => {
    child.on('error', (cause) => reject(missing(compression, cause)));
    child.on('close', (status) => {
      if (status === 0) resolve();
      else reject(damaged(compression, complaint.trim().split('\n')[0]));
    });
  });
}

/** The far end may stop reading when it has found damage; that is its news, not that of the sender. */
async function feed(packed: AsyncIterable<Uint8Array>, input: Writable): Promise<void> {
  await pipeline(Readable.from(packed, { objectMode: false }), input);
}

/** Lets only failures through that say more than that the far end is gone. */
async function settled(feeding: Promise<void>): Promise<void> {
  await feeding.catch((error: unknown) => {
    if (error instanceof PoolkeeperError) throw error;
  });
}

function missing(compression: 'xz' | 'zstd', cause: Error): FailureError {
  return new FailureError(`cannot unpack the image: ${PROGRAMS[compression][0]} cannot be run`, {
    cause,
    hint: `install it with 'apt-get install ${PACKAGES[compression]}', or unpack the file yourself`,
  });
}

function damaged(compression: Compression, reason: unknown): IntegrityError {
  const text = reason instanceof Error ? reason.message : typeof reason === 'string' ? reason : '';
  return new IntegrityError(
    `cannot unpack the image: its ${compression} data is damaged or cut off${text && ` (${text})`}`,
    {
      hint: 'fetch the file again, and give its checksum with --digest',
    },
  );
}

/** Up to here nobody asks how far a file swells. */
const FREE_BYTES = 1n << 30n;

/** Beyond that, a byte of the file may become so many: disks that are mostly empty reach some hundreds. */
const LARGEST_RATIO = 1000n;

/** How far a packed file may swell. */
export interface Swelling {
  /** How many of its bytes have been read by now. */
  packedBytes(this: void): bigint;
  /** The room there is for what comes out; `undefined`: not known. */
  readonly roomBytes: bigint | undefined;
}

/** @throws NoSpaceError when more comes out than there is room for; IntegrityError when it is a bomb. */
export async function* boundSwelling(
  bytes: AsyncIterable<Uint8Array>,
  { packedBytes, roomBytes }: Swelling,
): AsyncGenerator<Uint8Array, void, undefined> {
  let total = 0n;
  for await (const chunk of bytes) {
    total += BigInt(chunk.length);
    if (roomBytes !== undefined && total > roomBytes) {
      throw new NoSpaceError('the image is larger than the room that is free for it in the storage pool', {
        hint: 'free some space where the storage pool is',
      });
    }
    if (total > FREE_BYTES && total > packedBytes() * LARGEST_RATIO) {
      throw new IntegrityError(`the packed image swells more than ${LARGEST_RATIO} times, as no sensible image does`, {
        hint: 'if it is right, unpack it yourself and import what comes out',
      });
    }
    yield chunk;
  }
}
