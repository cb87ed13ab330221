import { join } from 'node:path';
import { readFileBounded, removeFileDurably, writeFileAtomic } from './atomic-file.ts';
import { checkFormatVersion, integerField, parseJsonObject, stringField } from './json-fields.ts';

const FORMAT_VERSION = 1;
const MAX_BYTES = 4096;
const FILE_MODE = 0o640;
const NAME = 'blind-spots.json';

/** What was last said of the things that cannot be seen. */
export interface SpotNote {
  /** Tells whether they are the same things. */
  readonly digest: string;
  /** Since when they are the same, and when that was said, in milliseconds since the epoch. */
  readonly since: number;
  readonly saidAt: number;
}

/** Reads the note of a pool; `undefined` when there is none. @throws IntegrityError, FailureError. */
export async function readSpotNote(dir: string): Promise<SpotNote | undefined> {
  const path = join(dir, NAME);
  const file = await readFileBounded(path, MAX_BYTES);
  if (file === undefined) return undefined;
  const note = parseJsonObject(file.bytes, `note '${path}'`);
  checkFormatVersion(note, FORMAT_VERSION);
  return {
    digest: stringField(note, 'digest'),
    since: integerField(note, 'since'),
    saidAt: integerField(note, 'saidAt'),
  };
}

/** @throws NoSpaceError, FailureError. */
export async function writeSpotNote(dir: string, note: SpotNote): Promise<void> {
  const text = JSON.stringify({ formatVersion: FORMAT_VERSION, ...note });
  await writeFileAtomic(join(dir, NAME), Buffer.from(`${text}\n`), { mode: FILE_MODE });
}

/** @throws FailureError. */
export async function removeSpotNote(dir: string): Promise<void> {
  await removeFileDurably(join(dir, NAME));
}
