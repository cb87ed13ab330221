import type { Argv } from 'yargs';
import type { CommandContext } from './context.ts';
import type { Verb } from './options.ts';

/** A command as the command line knows it before it is loaded. */
export interface Command {
  readonly name: string;
  /** Whether it goes by the configuration, so that a mistake in it stops the command. */
  readonly isConfigured: boolean;
  /** Settings that mean something else to it, and that it only sees as options. */
  readonly own: readonly string[];
  /**
   * Every way of calling it that deletes, moves or overwrites volumes, by the words behind its name. What holds a volume
   * must stop each of them.
   */
  readonly changesVolumes: readonly string[];
  add(parser: Argv, context: CommandContext): void;
}

/** Every command, in the order of the help text: to look, to bring, to change, to clean up, for the host. Its modules are loaded only when it is the one that was asked for. */
export const COMMANDS: readonly Command[] = [
  command('list [filters..]', 'show the images of the pool and their states', async (context) =>
    (await import('./list.ts')).listCommand(context),
  ),
  command('show <image..>', 'tell everything that is known of an image', async (context) =>
    (await import('./show.ts')).showCommand(context),
  ),
  command('path <image..>', 'print the path of an image, for scripts', async (context) =>
    (await import('./path.ts')).pathCommand(context),
  ),
  command('query [filters..]', 'list the images that are offered to new domains', async (context) =>
    (await import('./query.ts')).queryCommand(context),
  ),
  command('catalog [filters..]', 'list what the sources offer', async (context) =>
    (await import('./catalog.ts')).catalogCommand(context),
  ),
  command(
    'why <target>',
    'show what needs a volume or file, with the evidence',
    async (context) => (await import('./why.ts')).whyCommand(context),
    { own: ['pool'] },
  ),
  command('usage [image..]', 'show what images take up, and what could be reclaimed', async (context) =>
    (await import('./usage.ts')).usageCommand(context),
  ),
  command('tasks [id]', 'show long operations, under way or over', async (context) =>
    (await import('./tasks.ts')).tasksCommand(context),
  ),
  command(
    'references <files..>',
    'print what XML documents of libvirt refer to',
    async (context) => (await import('./references.ts')).referencesCommand(context),
    { isConfigured: false },
  ),
  command(
    'sync [filters..]',
    'fetch new images, retire old ones, delete what nothing needs',
    async (context) => (await import('./sync.ts')).syncCommand(context),
    { changesVolumes: ['', '--create-pool'] },
  ),
  command('import <file>', 'bring an image of your own into the pool', async (context) =>
    (await import('./import.ts')).importCommand(context),
  ),
  command('create', 'make an empty image', async (context) => (await import('./create.ts')).createCommand(context)),
  command('clone <words..>', 'make a volume of an image', async (context) =>
    (await import('./clone.ts')).cloneCommand(context),
  ),
  command('lease', 'keep an image while a command builds on it', async (context) =>
    (await import('./lease.ts')).leaseCommand(context),
  ),
  command(
    'snapshot',
    'keep former contents of a persistent image, and restore them',
    async (context) => (await import('./snapshot.ts')).snapshotCommand(context),
    { changesVolumes: ['create', 'delete', 'revert', 'flatten'] },
  ),
  command('enable <image..>', 'offer a disabled image to new domains again', async (context) =>
    (await import('./enable.ts')).enableCommand(context),
  ),
  command('disable <image..>', 'keep an image, but offer it to no new domain', async (context) =>
    (await import('./enable.ts')).disableCommand(context),
  ),
  command(
    'persistent <image..>',
    'hand an image to the one domain that uses it',
    async (context) => (await import('./persistent.ts')).persistentCommand(context),
    { changesVolumes: [''] },
  ),
  command('nonpersistent <image..>', 'make it an image that many can use again', async (context) =>
    (await import('./nonpersistent.ts')).nonpersistentCommand(context),
  ),
  command('rename <words..>', 'change what people call an image', async (context) =>
    (await import('./edit-image.ts')).renameCommand(context),
  ),
  command('update <image..>', 'change the tags that filters find an image by', async (context) =>
    (await import('./edit-image.ts')).updateCommand(context),
  ),
  command('chtype <words..>', 'change what an image is for', async (context) =>
    (await import('./edit-image.ts')).chtypeCommand(context),
  ),
  command('chown <words..>', 'change to whom an image or a clone belongs', async (context) =>
    (await import('./change-permissions.ts')).chownCommand(context),
  ),
  command('chmod <words..>', 'change who may read and write an image or a clone', async (context) =>
    (await import('./change-permissions.ts')).chmodCommand(context),
  ),
  command('lock <image..>', 'keep an image, whatever needs it', async (context) =>
    (await import('./lock.ts')).lockCommand(context),
  ),
  command('unlock <image..>', 'take the lock off an image', async (context) =>
    (await import('./lock.ts')).unlockCommand(context),
  ),
  command('verify [image..]', 'read images and compare them with what they were', async (context) =>
    (await import('./verify.ts')).verifyCommand(context),
  ),
  command(
    'gc',
    'retire images that the policy does not hold on to, delete what nothing needs',
    async (context) => (await import('./gc.ts')).gcCommand(context),
    { changesVolumes: [''] },
  ),
  command(
    'apply <plan>',
    'carry out a plan that gc --out wrote, as far as it still holds',
    async (context) => (await import('./apply.ts')).applyCommand(context),
    { changesVolumes: [''] },
  ),
  command(
    'undo [image..]',
    'take back what waits for its deletion or was deleted',
    async (context) => (await import('./undo.ts')).undoCommand(context),
    { changesVolumes: [''] },
  ),
  command(
    'delete <image..>',
    'take images out of use, to be deleted after the grace period',
    async (context) => (await import('./delete.ts')).deleteCommand(context),
    { changesVolumes: [''] },
  ),
  command(
    'orphans',
    'list volumes that nothing needs, whoever made them',
    async (context) => (await import('./orphans.ts')).orphansCommand(context),
    { changesVolumes: [''] },
  ),
  command(
    'purge',
    'withdraw all images and delete those that nothing needs',
    async (context) => (await import('./purge.ts')).purgeCommand(context),
    { changesVolumes: [''] },
  ),
  command('forget [names..]', 'say that what a name led to is gone for good', async (context) =>
    (await import('./forget.ts')).forgetCommand(context),
  ),
  command(
    'doctor',
    'look for what hinders poolkeeper, and say what mends it',
    async (context) => (await import('./doctor.ts')).doctorCommand(context),
    { isConfigured: false },
  ),
  command(
    'config',
    'check the configuration, or show what counts',
    async (context) => (await import('./config.ts')).configCommand(context),
    { isConfigured: false },
  ),
  command('keyring', 'add or list the keys that sources are verified with', async (context) =>
    (await import('./keyring.ts')).keyringCommand(context),
  ),
  command(
    'completion <shell>',
    'print a completion script for a shell',
    async (context) => (await import('./completion.ts')).completionCommand(context),
    { isConfigured: false },
  ),
];

function command<T>(
  usage: string,
  describe: string,
  load: (context: CommandContext) => Promise<Verb<T>>,
  {
    isConfigured = true,
    own = [],
    changesVolumes = [],
  }: Partial<Pick<Command, 'isConfigured' | 'own' | 'changesVolumes'>> = {},
): Command {
  const [name = usage] = usage.split(' ');
  return {
    name,
    isConfigured,
    own,
    changesVolumes,
    add: (parser, context) => {
      parser.command({
        command: usage,
        describe,
        builder: async (parent: Argv) =>
          (await load(context)).builder(parent.epilogue(`Examples and more: 'man poolkeeper-${name}'`)),
        handler: async (options) => (await load(context)).handler(options),
      });
    },
  };
}
