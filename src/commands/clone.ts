import type { Argv } from 'yargs';
import { parseBytes } from '../core/byte-size.ts';
import { LONGEST_LEASE_MS } from '../core/lease.ts';
import type { ImageRecord } from '../core/record.ts';
import { UsageError } from '../errors.ts';
import { readBaseImage } from '../execute/base-image.ts';
import { checkCloneName, createOverlay } from '../execute/create-overlay.ts';
import { cloneFully, type FullClone } from '../execute/full-clone.ts';
import { runWatchedTask } from '../execute/watched-task.ts';
import type { Volume } from '../libvirt/volume.ts';
import { newPermissions } from '../state/accounts.ts';
import { readRecords } from '../state/records.ts';
import type { CommandContext } from './context.ts';
import { anyOption, holdImage } from './hold-image.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { lookupUsablePool, openSession, type Session, withConnection } from './session.ts';

interface CloneArguments extends PoolArguments {
  readonly words: readonly string[];
  readonly overlay: boolean;
  readonly full: boolean;
  readonly size: string | undefined;
  readonly targetPool: string | undefined;
  readonly any: boolean;
}

/** `clone IMAGE NAME`: makes a volume that stands on an image, or holds all of it. */
export function cloneCommand(context: CommandContext): Verb<CloneArguments> {
  return {
    builder: (yargs) => cloneOptions(yargs) as Argv<CloneArguments>,
    handler: (options) =>
      withConnection(options, async (connection) => {
        await clone(await openSession(context, options, connection), options);
      }),
  };
}

function cloneOptions(yargs: Argv): Argv {
  return anyOption(poolOptions(yargs))
    .usage('$0 clone IMAGE NAME')
    .positional('words', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'VOLUME, "PRODUCT VERSION", PRODUCT, or filters that match one offered image; then the new name',
    })
    .option('overlay', {
      type: 'boolean',
      default: false,
      describe: 'keep only what differs from the image, and the image with it: the default',
    })
    .option('full', { type: 'boolean', default: false, describe: 'copy the image, so that it is not needed any more' })
    .option('size', {
      type: 'string',
      requiresArg: true,
      describe: 'virtual size, such as 20G; default: that of the image',
    })
    .option('target-pool', {
      type: 'string',
      requiresArg: true,
      describe: 'storage pool for the new volume; default: that of the image',
    });
}

/** The lease is for the time of the clone only: then an overlay itself keeps the image. */
const OVERLAY_LEASE_MS = 3_600_000;

async function clone(session: Session, options: CloneArguments): Promise<void> {
  const words = options.words.slice(0, -1);
  const name = options.words.at(-1) ?? '';
  if (words.length === 0)
    throw new UsageError('name an image, and the volume to create', { hint: 'as in: poolkeeper clone IMAGE NAME' });
  if (options.overlay && options.full)
    throw new UsageError('--overlay and --full contradict each other', { hint: 'leave one of the two out' });
  checkCloneName(name);
  const sizeBytes = options.size === undefined ? undefined : parseBytes(options.size, '--size');
  const { connection, reporter } = session;
  const target =
    options.targetPool === undefined ? session.pool : await lookupUsablePool(connection, options.targetPool);
  const ttlMs = options.full ? LONGEST_LEASE_MS : OVERLAY_LEASE_MS;
  const question = { words, isAny: options.any, purpose: 'clone' as const, command: ['poolkeeper clone'], ttlMs };
  const permissions = await newPermissions(session.permissions ?? {});
  const request = { pool: target.name, name, sizeBytes, permissions };
  const volume = await holdImage(session, question, async ({ volume: source }) => {
    const record = (await readRecords(session.paths.records)).records.get(source.name);
    const base = await readBaseImage(connection, source, record?.tags['x_poolkeeper_format'] === 'raw');
    if (!options.full) return createOverlay(connection, base, request);
    return copy(session, { ...request, base, digest: unchangedDigest(record) });
  });
  const fields = { pool: volume.pool, volume: volume.name, path: volume.path, backing: volume.backingPath };
  reporter.data(volume.path, 'volume', { ...fields, capacity_bytes: volume.capacityBytes });
}

/** What an image must still be; nobody knows of one that is written to. */
function unchangedDigest(record: ImageRecord | undefined): FullClone['digest'] {
  return record?.traits?.isPersistent === true ? undefined : record?.provenance.digest;
}

function copy(session: Session, job: Omit<FullClone, 'connection' | 'signal' | 'onProgress'>): Promise<Volume> {
  const { connection, context, paths, reporter } = session;
  const { clock, pid, signal } = context;
  const { volume } = job.base;
  const totalBytes = volume.lengthBytes ?? volume.capacityBytes;
  const desk = { paths, clock, pid, progress: reporter.progress };
  const task = { kind: 'clone', volumeName: volume.name, totalBytes } as const;
  return runWatchedTask(desk, `clone ${job.name}`, task, (onProgress) =>
    cloneFully({ ...job, connection, signal, onProgress }),
  );
}
