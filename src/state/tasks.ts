import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { abandoned, isOver, type Task, TASK_HISTORY_MS, TASK_KINDS, TASK_STATUSES } from '../core/task.ts';
import { IntegrityError } from '../errors.ts';
import { readFileBounded, removeFileDurably, writeFileAtomic } from './atomic-file.ts';
import { processState, readPidNamespace } from './host-moment.ts';
import {
  bytesField,
  checkFormatVersion,
  identityField,
  integerField,
  type JsonObject,
  optionalBytesField,
  optionalObjectField,
  optionalStringField,
  parseJsonObject,
  stringField,
} from './json-fields.ts';
import { attempt, isJsonName, listDirectory, readEach, type UnreadableFile } from './listing.ts';

const FORMAT_VERSION = 1;
const MAX_BYTES = 64 * 1024;
const FILE_MODE = 0o640;
const SUFFIX = '.json';
const TASK_NAME = /^[0-9a-f]{8}\.json$/;

/** Every task of a pool, the newest first. */
export interface Tasks {
  readonly tasks: readonly Task[];
  readonly unreadable: readonly UnreadableFile[];
}

/**
 * Reads every task in a directory; one that is not there has none. A task whose process is gone reads as a failure.
 *
 * @throws FailureError when the directory cannot be listed.
 */
export async function readTasks(dir: string): Promise<Tasks> {
  const { found, unreadable } = await readEach(dir, isJsonName, readTask);
  const tasks: Task[] = [];
  for (const task of found) tasks.push(await asItStands(task));
  return { tasks: tasks.toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1)), unreadable };
}

/** Writes a task down, in place of what was written about it before. @throws NoSpaceError, FailureError. */
export async function writeTask(dir: string, task: Task): Promise<void> {
  const { doneBytes, totalBytes } = task;
  const encoded = { ...task, doneBytes: doneBytes.toString(), totalBytes: totalBytes?.toString() };
  const text = JSON.stringify({ formatVersion: FORMAT_VERSION, ...encoded }, undefined, 2);
  await writeFileAtomic(join(dir, task.id + SUFFIX), Buffer.from(`${text}\n`), { mode: FILE_MODE });
}

/**
 * Forgets tasks of which nothing was written for so long that they are history. What is no task is left alone, and a task that
 * cannot be removed stays: it must not keep anybody from working. Only for the holder of the pool's lock.
 */
export async function pruneTasks(dir: string, now: number): Promise<void> {
  for (const entry of await listDirectory(dir)) {
    if (!entry.isFile() || !TASK_NAME.test(entry.name)) continue;
    const path = join(dir, entry.name);
    const status = await stat(path).catch(() => undefined);
    if (status === undefined || now - status.mtimeMs <= TASK_HISTORY_MS) continue;
    await attempt(() => removeFileDurably(path));
  }
}

/** Reads a task as abandoned if its process is provably gone. A task of which that cannot be told counts as under way. */
async function asItStands(task: Task): Promise<Task> {
  if (isOver(task)) return task;
  const { pidNamespace = readPidNamespace() } = task;
  return (await processState({ ...task, pidNamespace })) === 'gone' ? abandoned(task) : task;
}

async function readTask(path: string, name: string): Promise<Task | undefined> {
  const file = await readFileBounded(path, MAX_BYTES);
  if (file === undefined) return undefined;
  const task = decodeTask(parseJsonObject(file.bytes, `task '${path}'`));
  if (task.id + SUFFIX !== name) throw new IntegrityError(`task '${path}' has another id than its name`);
  return task;
}

function decodeTask(object: JsonObject): Task {
  checkFormatVersion(object, FORMAT_VERSION);
  return {
    id: stringField(object, 'id'),
    kind: oneOf(object, 'kind', TASK_KINDS),
    volumeName: stringField(object, 'volumeName'),
    identity: optionalObjectField(object, 'identity') && identityField(object, 'identity'),
    status: oneOf(object, 'status', TASK_STATUSES),
    createdAt: integerField(object, 'createdAt'),
    updatedAt: integerField(object, 'updatedAt'),
    doneBytes: bytesField(object, 'doneBytes'),
    totalBytes: optionalBytesField(object, 'totalBytes'),
    message: optionalStringField(object, 'message'),
    pid: integerField(object, 'pid'),
    processStart: integerField(object, 'processStart'),
    ...noteOfNamespace(optionalStringField(object, 'pidNamespace')),
    bootId: stringField(object, 'bootId'),
  };
}

function noteOfNamespace(pidNamespace: string | undefined): Pick<Task, 'pidNamespace'> {
  return pidNamespace === undefined ? {} : { pidNamespace };
}

function oneOf<T extends string>(object: JsonObject, name: string, known: readonly T[]): T {
  const text = stringField(object, name);
  const found = known.find((each) => each === text);
  if (found === undefined) throw new IntegrityError(`${object.where}: field '${name}' cannot be '${text}'`);
  return found;
}
