import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { RunNote } from '../core/run-note.ts';
import { readFileBounded, writeFileAtomic } from './atomic-file.ts';
import {
  checkFormatVersion,
  integerField,
  objectField,
  optionalIntegerField,
  parseJsonObject,
  stringField,
} from './json-fields.ts';
import { readEach } from './listing.ts';
import { ensurePrivateDir } from './private-dir.ts';

const FORMAT_VERSION = 1;
const MAX_BYTES = 64 * 1024;
const FILE_MODE = 0o640;
const FOLDER = 'runs';

/**
 * Reads what is remembered of the last runs on a pool, one note for each command. Nothing depends on it but what
 * administrators are shown, so a note that cannot be read counts as none.
 *
 * @throws FailureError when the directory cannot be listed.
 */
export async function readRunNotes(stateDir: string, pool: string): Promise<readonly RunNote[]> {
  const { found } = await readEach(join(stateDir, FOLDER), (name) => name.endsWith('.json'), readNote);
  return found.filter((note) => note.pool === pool);
}

/**
 * Remembers a run in place of the one before. A failed run is no reason to make a state directory.
 *
 * @throws IntegrityError, NoSpaceError, FailureError when it cannot.
 */
export async function writeRunNote(stateDir: string, note: RunNote, uid: number): Promise<void> {
  const dir = join(stateDir, FOLDER);
  if (note.exitStatus !== 0 && !existsSync(stateDir)) return;
  for (const each of [stateDir, dir]) await ensurePrivateDir(each, { uid });
  const pool = createHash('sha256').update(note.pool).digest('hex').slice(0, 16);
  const text = JSON.stringify({ formatVersion: FORMAT_VERSION, ...note }, undefined, 2);
  await writeFileAtomic(join(dir, `${note.command}-${pool}.json`), Buffer.from(`${text}\n`), { mode: FILE_MODE });
}

async function readNote(path: string): Promise<RunNote | undefined> {
  const file = await readFileBounded(path, MAX_BYTES);
  if (file === undefined) return undefined;
  const note = parseJsonObject(file.bytes, `run note '${path}'`);
  checkFormatVersion(note, FORMAT_VERSION);
  const failures = objectField(note, 'failures');
  return {
    command: stringField(note, 'command'),
    pool: stringField(note, 'pool'),
    startedAt: integerField(note, 'startedAt'),
    endedAt: integerField(note, 'endedAt'),
    exitStatus: integerField(note, 'exitStatus'),
    succeededAt: optionalIntegerField(note, 'succeededAt'),
    failures: Object.fromEntries(Object.keys(failures.fields).map((kind) => [kind, integerField(failures, kind)])),
  };
}
