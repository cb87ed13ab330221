import { join } from 'node:path';
import { IMAGE_STATUSES } from '../core/lifecycle.ts';
import { parseEntryId, type TrashedRecord, type TrashEntry } from '../core/trash.ts';
import { IntegrityError } from '../errors.ts';
import { readFileBounded, removeFileDurably, writeFileAtomic } from './atomic-file.ts';
import {
  booleanField,
  bytesField,
  checkFormatVersion,
  integerField,
  type JsonObject,
  optionalDigestField,
  optionalObjectField,
  optionalStringField,
  parseJsonObject,
  stringField,
} from './json-fields.ts';
import { isJsonName, readEach } from './listing.ts';

const FORMAT_VERSION = 1;
const MAX_BYTES = 64 * 1024;
const FILE_MODE = 0o640;
const SUFFIX = '.json';

/**
 * Reads what is written down about the trash of a pool. A note that cannot be read counts as none: the file that it is about
 * still lies in the trash, under a name that says when it was deleted and what it was called.
 *
 * @throws FailureError when the directory cannot be listed.
 */
export async function readTrashNotes(dir: string): Promise<readonly TrashEntry[]> {
  const { found } = await readEach(dir, isJsonName, readNote);
  return found;
}

/** Writes down what lies in the trash, or is about to. @throws NoSpaceError, FailureError. */
export async function writeTrashNote(dir: string, entry: TrashEntry): Promise<void> {
  const encoded = { ...entry, sizeBytes: entry.sizeBytes.toString() };
  const text = JSON.stringify({ formatVersion: FORMAT_VERSION, ...encoded }, undefined, 2);
  await writeFileAtomic(join(dir, entry.id + SUFFIX), Buffer.from(`${text}\n`), { mode: FILE_MODE });
}

/** Forgets an entry. One without a note is forgotten already. */
export async function removeTrashNote(dir: string, id: string): Promise<void> {
  await removeFileDurably(join(dir, id + SUFFIX));
}

async function readNote(path: string, name: string): Promise<TrashEntry | undefined> {
  const file = await readFileBounded(path, MAX_BYTES);
  if (file === undefined) return undefined;
  const object = parseJsonObject(file.bytes, `trash note '${path}'`);
  checkFormatVersion(object, FORMAT_VERSION);
  const entry: TrashEntry = {
    id: stringField(object, 'id'),
    run: stringField(object, 'run'),
    place: stringField(object, 'place'),
    pool: stringField(object, 'pool'),
    volumeName: stringField(object, 'volumeName'),
    path: stringField(object, 'path'),
    realPath: stringField(object, 'realPath'),
    trashedAt: integerField(object, 'trashedAt'),
    sizeBytes: bytesField(object, 'sizeBytes'),
    wasNeeded: booleanField(object, 'wasNeeded'),
    record: decodeRecord(optionalObjectField(object, 'record')),
  };
  if (entry.id + SUFFIX === name && isSound(entry)) return entry;
  throw new IntegrityError(`trash note '${path}' makes no sense`);
}

/** Names of a note become parts of paths. */
function isSound({ id, place, realPath, volumeName }: TrashEntry): boolean {
  const isName = volumeName !== '' && volumeName !== '.' && volumeName !== '..' && !volumeName.includes('/');
  return parseEntryId(id) !== undefined && place.startsWith('/') && realPath.startsWith('/') && isName;
}

function decodeRecord(object: JsonObject | undefined): TrashedRecord | undefined {
  if (object === undefined) return undefined;
  const text = stringField(object, 'status');
  const status = IMAGE_STATUSES.find((known) => known === text);
  if (status === undefined) throw new IntegrityError(`${object.where}: '${text}' is not a status`);
  return {
    status,
    reason: optionalStringField(object, 'reason'),
    retiredBy: optionalStringField(object, 'retiredBy'),
    digest: optionalDigestField(object, 'digest'),
    isRestorable: booleanField(object, 'isRestorable'),
  };
}
