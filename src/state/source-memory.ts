import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { IntegrityError } from '../errors.ts';
import { readFileBounded, writeFileAtomic } from './atomic-file.ts';
import {
  checkFormatVersion,
  integerField,
  objectField,
  optionalStringListField,
  parseJsonObject,
  stringField,
  stringListField,
  type JsonObject,
} from './json-fields.ts';
import { readEach } from './listing.ts';

const FORMAT_VERSION = 1;
const MAX_BYTES = 16 * 1024 * 1024;
const FILE_MODE = 0o640;
const MEMORY_NAME = /^[0-9a-f]{64}\.json$/;

/** What was last accepted from a source, so that older data can be told from newer. */
export interface SourceMemory {
  /** Base address of the source, without credentials. */
  readonly url: string;
  /** By address. */
  readonly documents: Readonly<Record<string, AcceptedDocument>>;
  /** Names of all products that were offered and that the filters selected. */
  readonly products: readonly string[];
  /** Names of all products that its documents ever listed, before filters. */
  readonly listed: readonly string[];
  readonly acceptedAtMs: number;
}

/** A document as it was when it was accepted. */
export interface AcceptedDocument {
  /** The document's own `updated`, in milliseconds since the epoch. */
  readonly updatedAtMs: number;
  /** Of its bytes, in lower-case hex. */
  readonly sha256: string;
}

/**
 * Reads what was last accepted from the source at `url` (without credentials); `undefined` when nothing was.
 *
 * @throws IntegrityError when the file is damaged or about another source; FailureError when it cannot be read. Neither
 * means that nothing was accepted.
 */
export async function readSourceMemory(dir: string, url: string): Promise<SourceMemory | undefined> {
  const path = memoryPath(dir, url);
  const memory = await readMemory(path);
  if (memory === undefined || memory.url === url) return memory;
  throw new IntegrityError(`source memory '${path}' is about another source`, { expected: url, found: memory.url });
}

/** What was last accepted from any source. A memory that cannot be used is left out: it says nothing. */
export async function readSourceMemories(dir: string): Promise<readonly SourceMemory[]> {
  return (await readEach(dir, (name) => MEMORY_NAME.test(name), readMemory)).found;
}

/** Remembers what was accepted from a source. @throws NoSpaceError, FailureError; the last memory is then still there. */
export async function writeSourceMemory(dir: string, memory: SourceMemory): Promise<void> {
  const text = JSON.stringify({ formatVersion: FORMAT_VERSION, ...memory }, undefined, 2);
  await writeFileAtomic(memoryPath(dir, memory.url), Buffer.from(`${text}\n`), { mode: FILE_MODE });
}

async function readMemory(path: string): Promise<SourceMemory | undefined> {
  const file = await readFileBounded(path, MAX_BYTES);
  return file === undefined ? undefined : decodeMemory(parseJsonObject(file.bytes, `source memory '${path}'`));
}

function memoryPath(dir: string, url: string): string {
  return join(dir, `${createHash('sha256').update(url).digest('hex')}.json`);
}

function decodeMemory(object: JsonObject): SourceMemory {
  checkFormatVersion(object, FORMAT_VERSION);
  const products = stringListField(object, 'products');
  return {
    url: stringField(object, 'url'),
    documents: decodeDocuments(objectField(object, 'documents')),
    products,
    // Version 0.1 wrote down no more than what the filters had selected.
    listed: optionalStringListField(object, 'listed') ?? products,
    acceptedAtMs: integerField(object, 'acceptedAtMs'),
  };
}

function decodeDocuments(documents: JsonObject): SourceMemory['documents'] {
  return Object.fromEntries(
    Object.keys(documents.fields).map((url) => {
      const document = objectField(documents, url);
      return [url, { updatedAtMs: integerField(document, 'updatedAtMs'), sha256: stringField(document, 'sha256') }];
    }),
  );
}
