import { type LeftFile, type LeftVolume, type Replacement, resumption } from '../core/replacement.ts';
import { InUseError, IntegrityError } from '../errors.ts';
import { readQcow2 } from '../gather/qcow2-content.ts';
import { fileIdentity } from '../gather/volume-file.ts';
import { isConnectionLost } from '../libvirt/error-codes.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { downloadVolume } from '../libvirt/stream.ts';
import { createVolume, deleteVolume, lookupVolume, type Volume, volumeXml } from '../libvirt/volume.ts';
import { withGate } from '../state/gate.ts';
import { readRecords } from '../state/records.ts';
import { backoffMs, defaultPatience } from '../transfer/retry.ts';
import { COPY_HEAD_BYTES, copyVolume } from './copy-volume.ts';
import { type Environment, putRecord } from './environment.ts';
import { makeDurable } from './make-durable.ts';
import { findVolume } from './own-volume.ts';

/** What must hold of a volume when it is replaced. */
export interface ReplacementGuard {
  /** The volume as its content was last looked at. */
  readonly expected: Volume;
  /** @throws InUseError, IncompleteViewError unless nobody has the volume open and nothing stands on it. */
  assertIdle(this: void): Promise<void>;
}

/** How often a connection that broke in the middle is made anew. */
const RETRIES = 3;

/**
 * Gives a volume another content under the name that it has: the only place that deletes a volume which something needs.
 * What it is to become is complete and durable in another volume, the source, before and until the end.
 *
 * Crash order, inside the pool's gate: the guard; journal intent; the volume goes; it is made anew, and durable; the record
 * of the source says what that is now; done. Whatever there is after a crash, `resumeReplacement` goes on from there.
 *
 * @throws InUseError, IncompleteViewError, the reason of the signal: then nothing was changed. After any other error the
 * volume is what it was, or the intent stays open for the next run.
 */
export async function replaceVolume(
  replacement: Replacement,
  guard: ReplacementGuard,
  environment: Environment,
): Promise<void> {
  const { connection, poolName, paths, journal, signal } = environment;
  await withGate(paths.gate, 'exclusive', { signal }, async () => {
    await guard.assertIdle();
    const now = await lookupVolume(connection, poolName, replacement.volumeName);
    if (!isUnchanged(guard.expected, now)) throw changedMeanwhile(replacement);
    signal.throwIfAborted();
    const noted = { ...replacement, before: fileIdentity(now) };
    const intent = await journal.begin({ kind: 'replace', ...noted });
    let failure: unknown;
    const outcome = await replaceNow(intent, noted, environment).catch((error: unknown) => {
      failure = error;
      return completePatiently(intent, noted, environment, guard.assertIdle);
    });
    await settleSource(noted, outcome, environment);
    await journal.done(intent);
    if (outcome !== 'finished') throw failure;
  });
}

/** How a replacement ended; `foreign`: somebody else put something in the volume's place. */
type Outcome = 'finished' | 'untouched' | 'foreign';

/**
 * Goes on with a replacement that an earlier run began.
 *
 * @param intent the open intent, which knows what was made.
 * @returns whether the volume is now what it was to become, still what it was, or something else; then the intent can be
 * closed.
 * @throws InUseError, IncompleteViewError when what is half made must not be touched; IntegrityError when the source is gone.
 */
export async function resumeReplacement(
  intent: number,
  replacement: Replacement,
  assertIdle: () => Promise<void>,
  environment: Environment,
): Promise<Outcome> {
  const { connection, poolName, paths, signal } = environment;
  return withGate(paths.gate, 'exclusive', { signal }, async () => {
    await refreshPool(connection, poolName);
    const outcome = await complete(intent, replacement, environment, assertIdle);
    await settleSource(replacement, outcome, environment);
    return outcome;
  });
}

async function replaceNow(intent: number, replacement: Replacement, environment: Environment): Promise<'finished'> {
  await deleteVolume(environment.connection, environment.poolName, replacement.volumeName);
  await make(intent, replacement, environment);
  return 'finished';
}

/** Goes on after a failure, such as a restart of libvirtd. */
async function completePatiently(
  intent: number,
  replacement: Replacement,
  environment: Environment,
  assertIdle: () => Promise<void>,
): Promise<Outcome> {
  const { sleep, random } = defaultPatience({ retries: RETRIES });
  for (let attempt = 0; ; attempt += 1) {
    try {
      await refreshPool(environment.connection, environment.poolName);
      return await complete(intent, replacement, environment, assertIdle);
    } catch (error) {
      if (!isConnectionLost(error) || attempt >= RETRIES) throw error;
      await sleep(backoffMs(attempt, random), AbortSignal.timeout(60_000));
    }
  }
}

/** Looks at what is there, and makes what is missing. */
async function complete(
  intent: number,
  replacement: Replacement,
  environment: Environment,
  assertIdle: () => Promise<void>,
): Promise<Outcome> {
  const { connection, poolName } = environment;
  const source = await sourceOf(replacement, environment);
  const { left, file } = await lookAt(intent, replacement, environment);
  const next = resumption(left, file, replacement, source.path);
  if (next !== 'redo') return next;
  if (left !== 'missing') {
    await assertIdle();
    await deleteVolume(connection, poolName, replacement.volumeName);
  }
  await make(intent, replacement, environment);
  return 'finished';
}

/** What lies under the name of the volume, and whose it is. */
async function lookAt(
  intent: number,
  { volumeName: name, before }: Replacement,
  environment: Environment,
): Promise<{ readonly left: LeftVolume; readonly file: LeftFile }> {
  const { connection, poolName: pool, journal } = environment;
  const volume = await findVolume(environment, name);
  if (volume === undefined) return { left: 'missing', file: 'untold' };
  const identity = fileIdentity(volume);
  const made = journal.openIntents().find(({ id }) => id === intent)?.notes['made'];
  const file = identity === undefined || before === undefined ? 'untold' : whose(identity, before, made);
  try {
    const { header, isEmpty } = await readQcow2(connection, { pool, name });
    return {
      left: { backingFile: header.backingFile?.text, virtualSizeBytes: header.virtualSizeBytes, isEmpty },
      file,
    };
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    const { lengthBytes = COPY_HEAD_BYTES } = volume;
    if (lengthBytes === 0n) return { left: 'blank', file };
    const headBytes = lengthBytes < COPY_HEAD_BYTES ? lengthBytes : COPY_HEAD_BYTES;
    if (!(await isZero(environment, name, headBytes))) return { left: 'no image', file };
    return { left: (await isZero(environment, name)) ? 'blank' : 'headless', file };
  }
}

function whose(identity: string, before: string, made: string | undefined): LeftFile {
  if (identity === before) return 'before';
  return identity === made ? 'made' : 'other';
}

/** Whether a volume, or as much of its beginning, is nothing but zeros. */
async function isZero({ connection, poolName }: Environment, name: string, length?: bigint): Promise<boolean> {
  const range = length === undefined ? {} : { offset: 0n, length };
  for await (const chunk of downloadVolume(connection, poolName, name, range))
    if (chunk.some((byte) => byte !== 0)) return false;
  return true;
}

/** Makes the volume, of which there must be none. */
async function make(intent: number, replacement: Replacement, environment: Environment): Promise<void> {
  const { volumeName: name, sourceName, content, virtualSizeBytes, permissions } = replacement;
  const { connection, poolName: pool, journal } = environment;
  // From now on the file is known as the one that this run made.
  const onCreated = async (made: Volume): Promise<void> => {
    const identity = fileIdentity(made);
    if (identity !== undefined) await journal.note(intent, { made: identity }, true);
  };
  if (content === 'copy') {
    await copyVolume({ connection, pool, sourceName, targetName: name, permissions, onCreated });
    return;
  }
  const { path } = await sourceOf(replacement, environment);
  const description = { name, capacityBytes: virtualSizeBytes, allocationBytes: 0n, format: 'qcow2', compat: '1.1' };
  const backing = { path, format: 'qcow2' };
  const made = await createVolume(connection, pool, volumeXml({ ...description, permissions, backing }));
  await onCreated(made);
  await makeDurable(made.path);
}

async function sourceOf({ volumeName, sourceName }: Replacement, environment: Environment): Promise<Volume> {
  const source = await findVolume(environment, sourceName);
  if (source !== undefined) return source;
  throw new IntegrityError(`volume '${sourceName}' is gone, which has the content of volume '${volumeName}'`, {
    hint: `if volume '${volumeName}' is missing too, put a copy of it from a backup in its place`,
  });
}

/**
 * A copy that was made only for this becomes what it was made for, or is of no more use. Where somebody put something else in
 * the volume's place, it may be the last of the content, and stays as a snapshot.
 */
async function settleSource(
  { sourceName, content }: Replacement,
  outcome: Outcome,
  environment: Environment,
): Promise<void> {
  const { records } = await readRecords(environment.paths.records);
  const record = records.get(sourceName);
  if (record?.status !== 'importing') return;
  const isSnapshot = (content === 'overlay' && outcome === 'finished') || outcome === 'foreign';
  const reason = content === 'copy' ? 'it was a temporary copy' : 'it was interrupted';
  await putRecord(environment, record, {
    ...record,
    ...(isSnapshot ? { status: 'active', reason: undefined } : { status: 'killed', reason }),
  });
}

/** As far as key, size and time can tell. */
function isUnchanged(a: Volume, b: Volume): boolean {
  return a.key === b.key && a.lengthBytes === b.lengthBytes && a.modifiedAtMs === b.modifiedAtMs;
}

function changedMeanwhile({ volumeName }: Replacement): InUseError {
  return new InUseError(`volume '${volumeName}' changed meanwhile`, {
    hint: 'shut down what writes to it, then run again',
  });
}
