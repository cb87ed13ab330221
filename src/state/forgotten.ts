import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { absentText, type ForgottenName, parseAbsentName } from '../core/absent-name.ts';
import { IntegrityError } from '../errors.ts';
import { readFileBounded, removeTemporaryFiles, writeFileAtomic } from './atomic-file.ts';
import { withGate } from './gate.ts';
import {
  checkFormatVersion,
  integerField,
  type JsonObject,
  objectListField,
  optionalStringField,
  parseJsonObject,
  stringField,
} from './json-fields.ts';
import { isJsonName, readEach, type UnreadableFile } from './listing.ts';
import { ensurePrivateDir } from './private-dir.ts';

const FORMAT_VERSION = 1;
const MAX_BYTES = 16 * 1024 * 1024;
const FILE_MODE = 0o640;
const FOLDER = 'forgotten';

/** What was said of the names on one libvirt host: names mean nothing without it. */
interface ForgottenOnHost {
  readonly uri: string;
  readonly names: readonly ForgottenName[];
}

/** What was said on all hosts. */
interface Forgotten {
  readonly hosts: readonly ForgottenOnHost[];
  readonly unreadable: readonly UnreadableFile[];
}

/**
 * Reads which names were said to be gone for good. A file that cannot be read answers nothing.
 *
 * @throws FailureError when the directory cannot be listed.
 */
export async function readForgotten(stateDir: string): Promise<Forgotten> {
  const { found, unreadable } = await readEach(join(stateDir, FOLDER), isJsonName, readHost);
  return { hosts: found, unreadable };
}

/**
 * Changes what was said of the names on one host: all of it or nothing, however this process ends.
 *
 * @throws IntegrityError when the file is damaged; LockedError, NoSpaceError, FailureError.
 */
export async function changeForgotten(
  { stateDir, uri, uid, signal }: ForgottenPlace,
  change: (names: readonly ForgottenName[]) => readonly ForgottenName[],
): Promise<void> {
  const dir = join(stateDir, FOLDER);
  for (const each of [stateDir, dir]) await ensurePrivateDir(each, { uid });
  await withGate(join(dir, 'lock'), 'exclusive', { signal }, async () => {
    await removeTemporaryFiles(dir);
    const path = join(dir, `${createHash('sha256').update(uri).digest('hex').slice(0, 16)}.json`);
    const before = (await readHost(path))?.names ?? [];
    const names = change(before);
    if (names === before) return;
    const coded = names.map(({ name, ...rest }) => ({ name: absentText(name), ...rest }));
    const text = JSON.stringify({ formatVersion: FORMAT_VERSION, uri, names: coded }, undefined, 2);
    await writeFileAtomic(path, Buffer.from(`${text}\n`), { mode: FILE_MODE });
  });
}

/** Where it is written down, and of which host. */
export interface ForgottenPlace {
  readonly stateDir: string;
  readonly uri: string;
  readonly uid: number;
  readonly signal: AbortSignal;
}

async function readHost(path: string): Promise<ForgottenOnHost | undefined> {
  const file = await readFileBounded(path, MAX_BYTES);
  if (file === undefined) return undefined;
  const object = parseJsonObject(file.bytes, `list of forgotten names '${path}'`);
  checkFormatVersion(object, FORMAT_VERSION);
  return { uri: stringField(object, 'uri'), names: objectListField(object, 'names').map(decodeName) };
}

function decodeName(object: JsonObject): ForgottenName {
  const text = stringField(object, 'name');
  const name = parseAbsentName(text);
  if (name === undefined) throw new IntegrityError(`${object.where}: '${text}' is no name`);
  return {
    name,
    since: integerField(object, 'since'),
    by: stringField(object, 'by'),
    reason: optionalStringField(object, 'reason'),
  };
}
