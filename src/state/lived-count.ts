import { join } from 'node:path';
import type { Clock } from '../core/ports.ts';
import { IntegrityError, NoSpaceError } from '../errors.ts';
import { countLived, type LivedCount, livedSince } from '../core/lived-time.ts';
import { readFileBounded, writeFileAtomic } from './atomic-file.ts';
import { readHostMoment } from './host-moment.ts';
import {
  checkFormatVersion,
  type JsonObject,
  numberField,
  objectField,
  objectListField,
  parseJsonObject,
  stringField,
} from './json-fields.ts';

const FORMAT_VERSION = 1;
const MAX_BYTES = 256 * 1024;
const FILE_MODE = 0o640;

/** Where the count of a state directory lies. */
export function livedCountPath(stateDir: string): string {
  return join(stateDir, 'lived.json');
}

/** A moment at which things are judged that have to wait. */
export interface JudgementMoment {
  /** In milliseconds since the epoch. */
  readonly now: number;
  /** How long the host has lived since the wall clock said a time, in milliseconds. */
  livedSince(this: void, time: number): number;
}

/**
 * The present moment, by the count of a state directory. Everything that waits is measured by it. Without a count, or with one
 * that is damaged, what lies before now counts for a day at most.
 *
 * @throws FailureError when the count cannot be read.
 */
export async function readMoment(stateDir: string, clock: Clock): Promise<JudgementMoment> {
  const now = clock.now();
  const count = countLived(await readSoundCount(stateDir), await readHostMoment(now, clock.sinceBoot?.()));
  return { now, livedSince: (time) => livedSince(count, time) };
}

/** How exactly the count is written down as long as nobody sets the clock; more often wears disks out. */
const RESOLUTION_MS = 600_000;

/**
 * Goes on with the count: every run that holds a lock does, so that what it writes down can be told by the count. A full disk
 * does not keep a run from its work.
 *
 * @throws FailureError when the count cannot be read or written.
 */
export async function noteLived(stateDir: string, clock: Clock): Promise<void> {
  const known = await readSoundCount(stateDir);
  const count = countLived(known, await readHostMoment(clock.now(), clock.sinceBoot?.()));
  const isSameBoot = known?.last.bootId === count.last.bootId && known.last.uptime <= count.last.uptime;
  if (isSameBoot && known.spans === count.spans && count.last.lived - known.last.lived < RESOLUTION_MS) return;
  const text = JSON.stringify({ formatVersion: FORMAT_VERSION, ...count }, undefined, 2);
  try {
    await writeFileAtomic(livedCountPath(stateDir), Buffer.from(`${text}\n`), { mode: FILE_MODE });
  } catch (error) {
    if (!(error instanceof NoSpaceError)) throw error;
  }
}

/** A damaged count is begun anew: waiting then only takes longer. */
async function readSoundCount(stateDir: string): Promise<LivedCount | undefined> {
  const path = livedCountPath(stateDir);
  try {
    const file = await readFileBounded(path, MAX_BYTES);
    return file && decodeCount(parseJsonObject(file.bytes, `count '${path}'`));
  } catch (error) {
    if (error instanceof IntegrityError) return undefined;
    throw error;
  }
}

function decodeCount(object: JsonObject): LivedCount {
  checkFormatVersion(object, FORMAT_VERSION);
  const last = objectField(object, 'last');
  const spans = objectListField(object, 'spans').map((span) => ({
    wall: numberField(span, 'wall'),
    lived: numberField(span, 'lived'),
  }));
  if (spans.length === 0) throw new IntegrityError(`${object.where} has no beginning`);
  return {
    spans,
    last: {
      now: numberField(last, 'now'),
      uptime: numberField(last, 'uptime'),
      bootId: stringField(last, 'bootId'),
      lived: numberField(last, 'lived'),
    },
  };
}
