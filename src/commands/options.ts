import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { PermissionSettings } from '../state/accounts.ts';
import type { ConfiguredArguments } from './configuration.ts';

/** A command without its name: its options, and what it does. */
export interface Verb<T> {
  builder(yargs: Argv): Argv<T>;
  handler(options: ArgumentsCamelCase<T>): Promise<void> | void;
}

/** Options that every command has. */
export function commonOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('config', {
      type: 'string',
      requiresArg: true,
      describe: 'configuration to read; else POOLKEEPER_CONFIG, else /etc/poolkeeper/config.yaml',
    })
    .option('connect', {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      describe: 'libvirt URI; else LIBVIRT_DEFAULT_URI, else libvirt chooses',
    })
    .option('state-dir', { type: 'string', requiresArg: true, describe: 'where records, journal and lock are kept' })
    .option('metadata-dir', { type: 'string', requiresArg: true, describe: 'where metadata files are kept' })
    .option('cache-dir', { type: 'string', requiresArg: true, describe: 'where fetched documents are kept' })
    .option('json', { type: 'boolean', default: false, describe: 'print one JSON object per line' })
    .option('quiet', { alias: 'q', type: 'boolean', default: false, describe: 'print only changes and failures' })
    .option('verbose', { alias: 'v', type: 'boolean', default: false, describe: 'also print what is left alone' });
}

/** Options of commands that work on one storage pool. */
export function poolOptions<T>(yargs: Argv<T>) {
  return yargs.option('pool', {
    type: 'string',
    requiresArg: true,
    defaultDescription: 'uvtool',
    describe: 'storage pool that holds the images',
  });
}

/** Options of commands on one image. */
export function imageOptions<T>(yargs: Argv<T>) {
  return poolOptions(yargs).positional('image', {
    type: 'string',
    array: true,
    demandOption: true,
    describe: 'VOLUME, PRODUCT VERSION, or filters that match one image',
  });
}

/** The option of commands that change something without a question. */
export function dryRunOption<T>(yargs: Argv<T>) {
  return yargs.option('dry-run', {
    alias: 'n',
    type: 'boolean',
    default: false,
    describe: 'print what would be done, and do nothing',
  });
}

/** Options of commands that ask before they change something. */
export function changeOptions<T>(yargs: Argv<T>) {
  return dryRunOption(yargs).option('yes', {
    alias: 'y',
    type: 'boolean',
    default: false,
    describe: 'answer every question with yes',
  });
}

/** The option that takes the guard against emptying a pool off. */
export function massRemovalOption<T>(yargs: Argv<T>) {
  return yargs.option('allow-mass-removal', {
    type: 'boolean',
    default: false,
    describe: 'delete even more than half of the images',
  });
}

/** Options that say when an unused volume may go. */
export function sweepOptions<T>(yargs: Argv<T>) {
  return massRemovalOption(yargs).option('min-age', {
    type: 'string',
    requiresArg: true,
    defaultDescription: '2h',
    describe: 'keep volumes younger than this',
  });
}

/** The values that `commonOptions` yields. */
export interface CommonArguments extends ConfiguredArguments, PermissionSettings {
  /** A setting; only some commands have an option for it. */
  readonly trashFor?: string;
  readonly connect: string | undefined;
  readonly stateDir: string | undefined;
  readonly metadataDir: string | undefined;
  readonly cacheDir: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/** The values that `poolOptions` yields. */
export interface PoolArguments extends CommonArguments {
  readonly pool: string;
}

/** The values that `imageOptions` yields. */
export interface ImageArguments extends PoolArguments {
  readonly image: readonly string[];
}
