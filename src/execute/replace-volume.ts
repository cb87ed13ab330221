import { type Replacement, resumption } from '../core/replacement.ts';
import { InUseError, IntegrityError } from '../errors.ts';
import { readQcow2 } from '../gather/qcow2-content.ts';
import { isConnectionLost } from '../libvirt/error-codes.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { createVolume, deleteVolume, lookupVolume, type Volume, volumeXml } from '../libvirt/volume.ts';
import { withGate } from '../state/gate.ts';
import { readRecords } from '../state/records.ts';
import { backoffMs, defaultPatience } from '../transfer/retry.ts';
import { copyVolume } from './copy-volume.ts';
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
    const intent = await journal.begin({ kind: 'replace', ...replacement });
    let failure: unknown;
    const outcome = await replaceNow(replacement, environment).catch((error: unknown) => {
      failure = error;
      return completePatiently(replacement, environment, guard.assertIdle);
    });
    await settleSource(replacement, outcome, environment);
    await journal.done(intent);
    if (outcome === 'untouched') throw failure;
  });
}

/**
 * Goes on with a replacement that an earlier run began.
 *
 * @returns whether the volume is now what it was to become, or still what it was; then the intent can be closed.
 * @throws InUseError, IncompleteViewError when what is half made must not be touched; IntegrityError when the source is gone.
 */
export async function resumeReplacement(
  replacement: Replacement,
  assertIdle: () => Promise<void>,
  environment: Environment,
): Promise<'finished' | 'untouched'> {
  const { connection, poolName, paths, signal } = environment;
  return withGate(paths.gate, 'exclusive', { signal }, async () => {
    await refreshPool(connection, poolName);
    const outcome = await complete(replacement, environment, assertIdle);
    await settleSource(replacement, outcome, environment);
    return outcome;
  });
}

async function replaceNow(replacement: Replacement, environment: Environment): Promise<'finished'> {
  await deleteVolume(environment.connection, environment.poolName, replacement.volumeName);
  await make(replacement, environment);
  return 'finished';
}

/** Goes on after a failure, such as a restart of libvirtd. */
async function completePatiently(
  replacement: Replacement,
  environment: Environment,
  assertIdle: () => Promise<void>,
): Promise<'finished' | 'untouched'> {
  const { sleep, random } = defaultPatience({ retries: RETRIES });
  for (let attempt = 0; ; attempt += 1) {
    try {
      await refreshPool(environment.connection, environment.poolName);
      return await complete(replacement, environment, assertIdle);
    } catch (error) {
      if (!isConnectionLost(error) || attempt >= RETRIES) throw error;
      await sleep(backoffMs(attempt, random), AbortSignal.timeout(60_000));
    }
  }
}

/** Looks at what is there, and makes what is missing. */
async function complete(
  replacement: Replacement,
  environment: Environment,
  assertIdle: () => Promise<void>,
): Promise<'finished' | 'untouched'> {
  const { connection, poolName } = environment;
  const source = await sourceOf(replacement, environment);
  const left = await lookAt(replacement.volumeName, environment);
  const next = resumption(left, replacement, source.path);
  if (next !== 'redo') return next;
  if (left !== 'missing') {
    await assertIdle();
    await deleteVolume(connection, poolName, replacement.volumeName);
  }
  await make(replacement, environment);
  return 'finished';
}

async function lookAt(
  name: string,
  { connection, poolName: pool }: Environment,
): Promise<Parameters<typeof resumption>[0]> {
  try {
    if ((await findVolume({ connection, poolName: pool }, name)) === undefined) return 'missing';
    const { header, isEmpty } = await readQcow2(connection, { pool, name });
    return { backingFile: header.backingFile?.text, virtualSizeBytes: header.virtualSizeBytes, isEmpty };
  } catch (error) {
    if (error instanceof IntegrityError) return 'no image';
    throw error;
  }
}

/** Makes the volume, of which there must be none. */
async function make(replacement: Replacement, environment: Environment): Promise<void> {
  const { volumeName: name, sourceName, content, virtualSizeBytes, permissions } = replacement;
  const { connection, poolName: pool } = environment;
  if (content === 'copy') {
    await copyVolume({ connection, pool, sourceName, targetName: name, permissions });
    return;
  }
  const { path } = await sourceOf(replacement, environment);
  const description = { name, capacityBytes: virtualSizeBytes, allocationBytes: 0n, format: 'qcow2', compat: '1.1' };
  const backing = { path, format: 'qcow2' };
  const made = await createVolume(connection, pool, volumeXml({ ...description, permissions, backing }));
  await makeDurable(made.path);
}

async function sourceOf({ volumeName, sourceName }: Replacement, environment: Environment): Promise<Volume> {
  const source = await findVolume(environment, sourceName);
  if (source !== undefined) return source;
  throw new IntegrityError(`volume '${sourceName}' is gone, which has the content of volume '${volumeName}'`, {
    hint: `if volume '${volumeName}' is missing too, put a copy of it from a backup in its place`,
  });
}

/** A copy that was made only for this becomes what it was made for, or is of no more use. */
async function settleSource(
  { sourceName, content }: Replacement,
  outcome: 'finished' | 'untouched',
  environment: Environment,
): Promise<void> {
  const { records } = await readRecords(environment.paths.records);
  const record = records.get(sourceName);
  if (record?.status !== 'importing') return;
  const isSnapshot = content === 'overlay' && outcome === 'finished';
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
