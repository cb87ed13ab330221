import type { Argv } from 'yargs';
import { parseBytes } from '../core/byte-size.ts';
import { UsageError } from '../errors.ts';
import { checkCloneName, createOverlay } from '../execute/create-overlay.ts';
import type { CommandContext } from './context.ts';
import { anyOption, holdImage, parseTtl } from './hold-image.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { lookupUsablePool, openSession, type Session, withConnection } from './session.ts';

interface CloneArguments extends PoolArguments {
  readonly words: readonly string[];
  readonly overlay: boolean;
  readonly size: string | undefined;
  readonly targetPool: string | undefined;
  readonly any: boolean;
}

/** `clone IMAGE NAME --overlay`: makes a volume that stands on an image. */
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
    .usage('$0 clone IMAGE NAME --overlay')
    .positional('words', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'VOLUME, "PRODUCT VERSION", PRODUCT, or filters that match one offered image; then the new name',
    })
    .option('overlay', {
      type: 'boolean',
      default: false,
      demandOption: true,
      describe: 'keep only what differs from the image, and the image with it',
    })
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

/** The lease is for the time of the clone only: then the new volume itself keeps the image. */
const CLONE_TTL = '1h';

async function clone(session: Session, options: CloneArguments): Promise<void> {
  const words = options.words.slice(0, -1);
  const name = options.words.at(-1) ?? '';
  if (words.length === 0) throw new UsageError('name an image, and the volume to create');
  if (!options.overlay) throw new UsageError('say --overlay: it is the only kind of clone that there is');
  checkCloneName(name);
  const sizeBytes = options.size === undefined ? undefined : parseBytes(options.size, '--size');
  const { connection, reporter } = session;
  const target =
    options.targetPool === undefined ? session.pool : await lookupUsablePool(connection, options.targetPool);
  const request = {
    words,
    isAny: options.any,
    purpose: 'clone' as const,
    command: ['poolkeeper', 'clone'],
    ttlMs: parseTtl(CLONE_TTL),
  };
  const volume = await holdImage(session, request, ({ volume: base }) =>
    createOverlay(connection, base, { pool: target.name, name, sizeBytes }),
  );
  const fields = { pool: volume.pool, volume: volume.name, path: volume.path, backing: volume.backingPath };
  reporter.data(volume.path, 'volume', { ...fields, capacity_bytes: volume.capacityBytes });
}
