import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Fetcher } from '../../src/core/ports.ts';
import type { Digest } from '../../src/core/record.ts';
import type { FetcherOptions } from '../../src/transfer/fetcher.ts';

/** A directory with a document and an image in it, ready to be served. */
export interface TransferFixture {
  readonly root: string;
  readonly document: Buffer;
  readonly image: Buffer;
  remove(): Promise<void>;
}

/** Two and a half slabs, so that both are filled, one again, and the last only in part. */
const IMAGE_BYTES = 2_621_440;

/** Writes `index.json`, `index.txt` (the same bytes) and `disk.img` into a new directory. */
export async function makeTransferFixture(): Promise<TransferFixture> {
  const root = await mkdtemp(join(tmpdir(), 'poolkeeper-transfer-'));
  const document = Buffer.from(`${JSON.stringify({ format: 'index:1.0', text: 'lorem ipsum '.repeat(400) })}\n`);
  const image = Buffer.alloc(IMAGE_BYTES);
  for (let offset = 0; offset < image.length; offset += 4) image.writeUInt32LE((offset * 2_654_435_761) >>> 0, offset);
  await writeFile(join(root, 'index.json'), document);
  await writeFile(join(root, 'index.txt'), document);
  await writeFile(join(root, 'disk.img'), image);
  return { root, document, image, remove: () => rm(root, { recursive: true }) };
}

/** Options for a fetcher that does not wait between tries, with the waits it was asked for. */
export function impatient(): Required<Pick<FetcherOptions, 'userAgent' | 'sleep' | 'random' | 'stallTimeoutMs'>> & {
  readonly waits: number[];
} {
  const waits: number[] = [];
  return {
    userAgent: 'poolkeeper/0.1.0',
    stallTimeoutMs: 100,
    random: () => 0,
    waits,
    async sleep(milliseconds, signal) {
      signal?.throwIfAborted();
      waits.push(milliseconds);
    },
  };
}

export function digestOf(bytes: Uint8Array, algorithm: Digest['algorithm'] = 'sha256'): Digest {
  return { algorithm, hex: createHash(algorithm).update(bytes).digest('hex') };
}

interface FetchedDocument {
  readonly status: number;
  readonly text: string;
}

/** Fetches a document to its end. */
export async function readDocument(
  fetcher: Fetcher,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<FetchedDocument> {
  const response = await fetcher.fetch(new URL(url), { headers });
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return { status: response.status, text: Buffer.concat(chunks).toString() };
}

/** What a promise rejects with; fails when it resolves. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('the promise was expected to reject');
}
