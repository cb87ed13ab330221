import { readFile } from 'node:fs/promises';
import type { Argv } from 'yargs';
import type { CommandContext } from './context.ts';
import type { CommonArguments, Verb } from './options.ts';

interface CompletionArguments extends CommonArguments {
  readonly shell: keyof typeof SCRIPTS;
}

/** The script of each shell, in this package. They ask the program itself, by `complete`. */
const SCRIPTS = { bash: 'poolkeeper.bash', zsh: '_poolkeeper', fish: 'poolkeeper.fish' } as const;

/** `completion SHELL`: prints the script by which a shell completes the arguments of this program. */
export function completionCommand(context: CommandContext): Verb<CompletionArguments> {
  return {
    builder: (yargs) =>
      yargs.positional('shell', {
        choices: Object.keys(SCRIPTS),
        demandOption: true,
        describe: 'the shell that the script is for',
      }) as unknown as Argv<CompletionArguments>,
    handler: async ({ shell }) => {
      const script = new URL(`packaging/completion/${SCRIPTS[shell]}`, context.packageRoot);
      context.stdout.write(await readFile(script, 'utf8'));
    },
  };
}
