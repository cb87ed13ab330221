import type { Argv } from 'yargs';
import type { CommonArguments } from './options.ts';

/** The values that `sourceOptions` yields. */
export interface SourceArguments extends CommonArguments {
  readonly source: string | undefined;
  readonly path: string | undefined;
  readonly keyring: string | undefined;
  readonly noAuthentication: boolean;
  readonly allowRollback: boolean;
  readonly maxDocumentAge: string | undefined;
  readonly filters: readonly string[] | undefined;
}

/** Where images come from when nobody says anything. */
export const DEFAULT_SOURCE = 'https://cloud-images.ubuntu.com/releases/';

/** Options of commands that read sources. */
export function sourceOptions<T>(yargs: Argv<T>) {
  const text = { type: 'string', requiresArg: true } as const;
  return yargs
    .positional('filters', {
      type: 'string',
      array: true,
      describe: 'KEY=VALUE, KEY!=VALUE, KEY~REGEX, KEY!~REGEX; default: arch of this host',
    })
    .option('source', {
      ...text,
      defaultDescription: `every one in the configuration, else ${DEFAULT_SOURCE}`,
      describe: 'name or address of a simplestreams source',
    })
    .option('path', { ...text, describe: 'first document, relative to the source' })
    .option('keyring', { ...text, describe: 'keys that may sign the source' })
    .option('no-authentication', { type: 'boolean', default: false, describe: 'trust unsigned documents' })
    .option('allow-rollback', {
      type: 'boolean',
      default: false,
      describe: 'accept documents older than the last ones',
    })
    .option('max-document-age', { ...text, describe: 'refuse a source whose newest document is older than this' });
}
