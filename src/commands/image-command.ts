import type { Argv } from 'yargs';
import { UsageError } from '../errors.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import type { CommandContext } from './context.ts';
import { findImage, type FoundImage, readImages } from './find-image.ts';
import { type ImageArguments, imageOptions, type PoolArguments, poolOptions, type Verb } from './options.ts';
import { repairState } from './repair-state.ts';
import { type LockedSession, withLock, withSession } from './session.ts';

/** The values that `wordsOptions` yields. */
export interface WordsArguments extends PoolArguments {
  readonly words: readonly string[];
}

/** Options of commands that change one image to what their last word says. */
export function wordsOptions(yargs: Argv, command: string, what: string): Argv<WordsArguments> {
  return poolOptions(yargs)
    .usage(`$0 ${command} IMAGE ${what}`)
    .positional('words', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: `VOLUME, PRODUCT VERSION, or filters that match one image; then ${what}`,
    }) as unknown as Argv<WordsArguments>;
}

/** The words that stand for the image, and the last one. @throws UsageError when there is but one. */
export function splitWords({ words }: WordsArguments, what: string): readonly [readonly string[], string] {
  if (words.length < 2) throw new UsageError(`name an image, and ${what}`);
  return [words.slice(0, -1), words.at(-1) ?? ''];
}

/** Takes the pool's lock and reads what images there are. */
export async function withImages(
  context: CommandContext,
  options: PoolArguments,
  command: string,
  use: (session: LockedSession, images: readonly FoundImage[]) => Promise<void>,
): Promise<void> {
  await withSession(context, options, (session, fetcher) =>
    withLock(session, { command, fetcher }, async (locked) => {
      await refreshPool(session.connection, session.pool.name);
      await repairState(locked);
      await use(locked, await readImages(session));
    }),
  );
}

/** A command that has no options but the image that it changes. */
export function imageCommand(
  context: CommandContext,
  command: string,
  change: (session: LockedSession, image: FoundImage, images: readonly FoundImage[]) => Promise<void>,
): Verb<ImageArguments> {
  return {
    builder: (yargs) => imageOptions(yargs) as unknown as Argv<ImageArguments>,
    handler: (options) =>
      withImages(context, options, command, (session, images) =>
        change(session, findImage(options.image, images), images),
      ),
  };
}
