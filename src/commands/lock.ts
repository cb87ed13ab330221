import type { Argv } from 'yargs';
import { parseDuration } from '../core/duration.ts';
import { identityText } from '../core/identity.ts';
import { isPinned, type Pin } from '../core/record.ts';
import { UsageError } from '../errors.ts';
import { ensureRecord } from '../execute/ensure-record.ts';
import { writeRecord } from '../state/records.ts';
import type { CommandContext } from './context.ts';
import { findImage, type FoundImage } from './find-image.ts';
import { imageCommand, withImages } from './image-command.ts';
import { type ImageArguments, imageOptions, type Verb } from './options.ts';
import { permit } from './permit.ts';
import type { LockedSession } from './session.ts';

interface LockArguments extends ImageArguments {
  readonly reason: string | undefined;
  readonly until: string | undefined;
}

/** Long enough for a sentence, short enough for a line. */
const LONGEST_REASON = 200;

/** `lock IMAGE`: keeps an image until it is unlocked, or for a time. */
export function lockCommand(context: CommandContext): Verb<LockArguments> {
  return {
    builder: (yargs) => lockOptions(yargs) as unknown as Argv<LockArguments>,
    handler: async (options) => {
      const pin = toPin(options, context.clock.now());
      await withImages(context, options, 'lock', (session, images) =>
        lock(session, findImage(options.image, images), pin),
      );
    },
  };
}

/** `unlock IMAGE`: takes the lock off again. */
export function unlockCommand(context: CommandContext): Verb<ImageArguments> {
  return imageCommand(context, 'unlock', unlock);
}

function lockOptions<T>(yargs: Argv<T>) {
  const text = { type: 'string', requiresArg: true } as const;
  return imageOptions(yargs)
    .option('reason', { ...text, describe: 'why, for those who ask later' })
    .option('until', { ...text, describe: 'for how long, such as 30d; default: until it is unlocked' });
}

/** @throws UsageError when the reason is no line, or the period is none. */
function toPin({ reason, until }: LockArguments, now: number): Pin {
  const periodMs = until === undefined ? undefined : parseDuration(until, '--until');
  if (periodMs === 0) throw new UsageError('--until must be longer than nothing');
  if (reason !== undefined && (reason.length > LONGEST_REASON || /\p{Cc}/u.test(reason)))
    throw new UsageError(`--reason must be one line of at most ${LONGEST_REASON} characters`);
  return { reason, since: now, until: periodMs === undefined ? undefined : now + periodMs };
}

async function lock({ environment, reporter }: LockedSession, image: FoundImage, pin: Pin): Promise<void> {
  permit('lock', image);
  const { volumeName, identity } = image;
  const record = await ensureRecord(image, environment);
  await writeRecord(environment.paths.records, { ...record, pin });
  const until = pin.until === undefined ? undefined : new Date(pin.until).toISOString();
  const text = `locked image ${identityText(identity)}${until === undefined ? '' : ` until ${until}`}`;
  reporter.event('change', text, 'locked', { ...identity, volume: volumeName, reason: pin.reason, until });
}

async function unlock({ environment, reporter, context }: LockedSession, image: FoundImage): Promise<void> {
  permit('unlock', image);
  const { volumeName, identity, record } = image;
  const wasLocked = isPinned(record, context.clock.now());
  if (record?.pin !== undefined) await writeRecord(environment.paths.records, { ...record, pin: undefined });
  const name = `image ${identityText(identity)}`;
  const text = wasLocked ? `unlocked ${name}` : `${name} was not locked`;
  const fields = { ...identity, volume: volumeName, was_locked: wasLocked };
  reporter.event(wasLocked ? 'change' : 'info', text, 'unlocked', fields);
}
