import { join } from 'node:path';
import { NoSpaceError, PoolkeeperError } from '../errors.ts';
import { readFileBounded, writeFileAtomic } from './atomic-file.ts';
import { checkFormatVersion, parseJsonObject, stringListField } from './json-fields.ts';
import { attempt } from './listing.ts';

const FORMAT_VERSION = 1;
const MAX_BYTES = 16 * 1024 * 1024;
const FILE_MODE = 0o640;

/**
 * Of the volumes that nobody has claimed, those that were not told of before; from now on all of them count as told. A note
 * that cannot be read or written only makes the program say a thing twice.
 *
 * @param dir the directory of the pool's state.
 * @throws FailureError when the note cannot be written for another reason than a full disk.
 */
export async function untoldOf(dir: string, names: readonly string[]): Promise<readonly string[]> {
  const path = join(dir, 'told.json');
  const told = await readTold(path);
  if (names.length === told.length && names.every((name) => told.includes(name))) return [];
  const text = JSON.stringify({ formatVersion: FORMAT_VERSION, unclaimed: names }, undefined, 2);
  try {
    await writeFileAtomic(path, Buffer.from(`${text}\n`), { mode: FILE_MODE });
  } catch (error) {
    if (!(error instanceof NoSpaceError)) throw error;
  }
  const known = new Set(told);
  return names.filter((name) => !known.has(name));
}

async function readTold(path: string): Promise<readonly string[]> {
  const told = await attempt(async () => {
    const file = await readFileBounded(path, MAX_BYTES);
    if (file === undefined) return [];
    const note = parseJsonObject(file.bytes, `note '${path}'`);
    checkFormatVersion(note, FORMAT_VERSION);
    return stringListField(note, 'unclaimed');
  });
  return told instanceof PoolkeeperError ? [] : told;
}
