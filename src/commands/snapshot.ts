import type { Argv, CommandModule } from 'yargs';
import { showSnapshots } from '../report/snapshot-report.ts';
import type { CommandContext } from './context.ts';
import { type FoundImage, readImages } from './find-image.ts';
import { withImages } from './image-command.ts';
import { changeOptions, type PoolArguments, poolOptions, type Verb } from './options.ts';
import { permitted, readSnapshots } from './persistent-image.ts';
import { type LockedSession, openSession, withConnection } from './session.ts';
import { createSnapshot } from './snapshot-create.ts';
import { deleteSnapshot } from './snapshot-delete.ts';
import { flattenSnapshots } from './snapshot-flatten.ts';
import { revertSnapshot } from './snapshot-revert.ts';

interface ImageArguments extends PoolArguments {
  readonly image: string;
}

interface NameArguments extends ImageArguments {
  readonly name: string;
}

/** `snapshot create|list|revert|delete|flatten`: former contents of a persistent image. */
export function snapshotCommand(context: CommandContext): Verb<object> {
  return {
    builder: (yargs) =>
      yargs
        .command(createModule(context))
        .command(listModule(context))
        .command(revertModule(context))
        .command(deleteModule(context))
        .command(flattenModule(context))
        .demandCommand(1, 'name a snapshot command: create, list, revert, delete or flatten'),
    handler: () => undefined,
  };
}

/** A sub-command that changes an image, under the pool's lock. */
function changing<T>(
  context: CommandContext,
  verb: string,
  change: (session: LockedSession, images: readonly FoundImage[], options: T) => Promise<void>,
): (options: T & PoolArguments) => Promise<void> {
  return (options) =>
    withImages(context, options, `snapshot ${verb}`, (session, images) => change(session, images, options));
}

function imageOption(yargs: Argv) {
  return poolOptions(yargs).positional('image', {
    type: 'string',
    demandOption: true,
    describe: 'VOLUME, "PRODUCT VERSION", or a product that has one version',
  });
}

function nameOption(yargs: Argv) {
  return imageOption(yargs).positional('name', {
    type: 'string',
    demandOption: true,
    describe: 'name or id, as in snapshot list',
  });
}

function createModule(context: CommandContext): CommandModule<object, ImageArguments & { name?: string }> {
  return {
    command: 'create <image> [name]',
    describe: 'keep the present content of a persistent image',
    builder: (yargs) =>
      imageOption(yargs).positional('name', {
        type: 'string',
        describe: 'what to call it; default: the time',
      }) as Argv<ImageArguments & { name?: string }>,
    handler: changing(context, 'create', createSnapshot),
  };
}

function listModule(context: CommandContext): CommandModule<object, ImageArguments> {
  return {
    command: 'list <image>',
    describe: 'show the snapshots of an image as a tree',
    builder: (yargs) => imageOption(yargs) as Argv<ImageArguments>,
    handler: (options) =>
      withConnection(options, async (connection) => {
        const session = await openSession(context, options, connection);
        const { volumeName } = permitted('snapshot list', options.image, await readImages(session));
        showSnapshots((await readSnapshots(session, volumeName)).snapshots, session.reporter);
      }),
  };
}

function revertModule(
  context: CommandContext,
): CommandModule<object, NameArguments & { readonly yes: boolean; readonly dryRun: boolean }> {
  return {
    command: 'revert <image> <name>',
    describe: 'give an image the content of a snapshot; what it holds now is lost',
    builder: (yargs) =>
      changeOptions(nameOption(yargs)) as unknown as Argv<NameArguments & { yes: boolean; dryRun: boolean }>,
    handler: changing(context, 'revert', revertSnapshot),
  };
}

function deleteModule(context: CommandContext): CommandModule<object, NameArguments & { readonly now: boolean }> {
  return {
    command: 'delete <image> <name>',
    describe: 'let a snapshot go that nothing stands on',
    builder: (yargs) =>
      nameOption(yargs).option('now', {
        type: 'boolean',
        default: false,
        describe: 'delete it at once, without a time to take it back',
      }) as unknown as Argv<NameArguments & { now: boolean }>,
    handler: changing(context, 'delete', deleteSnapshot),
  };
}

function flattenModule(context: CommandContext): CommandModule<object, ImageArguments> {
  return {
    command: 'flatten <image>',
    describe: 'make an image stand on nothing, with the content that it has',
    builder: (yargs) => imageOption(yargs) as Argv<ImageArguments>,
    handler: changing(context, 'flatten', flattenSnapshots),
  };
}
