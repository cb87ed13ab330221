import type { Argv } from 'yargs';
import { chooseImage } from './choose-image.ts';
import type { CommandContext } from './context.ts';
import { anyOption } from './hold-image.ts';
import { type ImageArguments, imageOptions, type Verb } from './options.ts';
import { openSession, withConnection } from './session.ts';

interface PathArguments extends ImageArguments {
  readonly any: boolean;
}

/** `path IMAGE`: prints where an image lies, and nothing else, for scripts. */
export function pathCommand(context: CommandContext): Verb<PathArguments> {
  return {
    builder: (yargs) => anyOption(imageOptions(yargs)) as unknown as Argv<PathArguments>,
    handler: (options) =>
      withConnection(
        options,
        async (connection) => {
          const session = await openSession(context, options, connection);
          const question = { words: options.image, isAny: options.any, purpose: 'path' as const };
          const { pool, name, path, format } = await chooseImage(session, question);
          session.reporter.data(path, 'path', { pool, volume: name, path, format });
        },
        1,
      ),
  };
}
