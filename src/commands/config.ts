import { existsSync } from 'node:fs';
import type { Argv, CommandModule } from 'yargs';
import type { Configuration, NamedSource } from '../config/configuration.ts';
import { DEFAULT_POOL, type EffectiveValue, effectiveSettings, SETTINGS } from '../config/settings.ts';
import { LibvirtError, UsageError } from '../errors.ts';
import { type ShownSetting, showSettings, showSound } from '../report/config-report.ts';
import type { Reporter } from '../report/reporter.ts';
import { resolveSource } from '../simplestreams/source.ts';
import { assertOwnPlaces, type OwnDirectory } from '../usage/directories.ts';
import { findConfiguration, mistakeError, soundConfiguration } from './configuration.ts';
import type { CommandContext } from './context.ts';
import type { CommonArguments, Verb } from './options.ts';
import { cacheDirOf, stateDirOf } from './places.ts';
import { reporterOf, withConnection } from './session.ts';

interface CheckArguments extends CommonArguments {
  readonly file: string | undefined;
}

/** `config check|show`: looks at the configuration, and changes nothing. */
export function configCommand(context: CommandContext): Verb<object> {
  return {
    builder: (yargs) =>
      yargs
        .command(checkCommand(context))
        .command(showCommand(context))
        .demandCommand(1, 'name a config command: check or show'),
    handler: () => undefined,
  };
}

function checkCommand(context: CommandContext): CommandModule<object, CheckArguments> {
  return {
    command: 'check [file]',
    describe: 'list everything that is wrong with the configuration',
    builder: (yargs) =>
      yargs.positional('file', {
        type: 'string',
        describe: 'configuration to check; default: the one that counts',
      }) as Argv<CheckArguments>,
    handler: (options) => check(context, options),
  };
}

function showCommand(context: CommandContext): CommandModule<object, CommonArguments> {
  return {
    command: 'show',
    describe: 'print every setting, and where it comes from',
    handler: (options) => show(context, options),
  };
}

/** @throws UsageError when there are mistakes, after all of them were shown. */
async function check(context: CommandContext, options: CheckArguments): Promise<void> {
  const reporter = reporterOf(context, options);
  const read = await findConfiguration(options.file ?? options.config, context);
  if (read === undefined) return showSound(undefined, 0, reporter);
  const { configuration, mistakes } = read;
  for (const mistake of mistakes) reporter.error(mistakeError(mistake, configuration.file));
  if (mistakes.length > 0) throw new UsageError(`${mistakes.length} mistake(s) in ${configuration.file}`);
  warnOfKeyrings(configuration, reporter);
  await assertPlaces(configuration, context, options);
  showSound(configuration.file, configuration.sources.length, reporter);
}

/** The directories that a file can name, and what they are called elsewhere. */
const DIRECTORIES = new Map([
  ['state-dir', 'state directory'],
  ['cache-dir', 'cache directory'],
  ['metadata-dir', 'metadata directory'],
]);

/**
 * Compares the directories that a file names with the storage pools that there are. Where libvirt does not answer, every
 * command that needs it looks again.
 *
 * @throws UsageError when one of them is in the way of a pool.
 */
async function assertPlaces(
  { file, settings }: Configuration,
  context: CommandContext,
  options: CommonArguments,
): Promise<void> {
  const dirs = [...DIRECTORIES].flatMap(([key, what]): readonly OwnDirectory[] => {
    const placed = settings.get(key);
    return placed === undefined ? [] : [{ what, path: String(placed.value) }];
  });
  if (dirs.length === 0) return;
  const connect = options.connect ?? settings.get('connect')?.value ?? context.env['LIBVIRT_DEFAULT_URI'];
  const pool = String(context.env['POOLKEEPER_POOL'] ?? settings.get('pool')?.value ?? DEFAULT_POOL);
  try {
    await withConnection({ ...options, connect: connect === undefined ? undefined : String(connect) }, (connection) =>
      assertOwnPlaces(connection, dirs, pool),
    );
  } catch (error) {
    if (error instanceof LibvirtError) return;
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${file}: ${error.message}`, error.hint === undefined ? {} : { hint: error.hint });
  }
}

/** A keyring may be put in place later, so a missing one is no mistake yet. */
function warnOfKeyrings({ file, sources }: Configuration, reporter: Reporter): void {
  for (const { name, keyring, written } of sources) {
    if (keyring === undefined || !keyring.startsWith('/') || existsSync(keyring)) continue;
    const line = written.find(({ key }) => key === 'keyring')?.line ?? 1;
    reporter.warning(`${file}:${line}: the keyring of source '${name}' does not exist: '${keyring}'`);
  }
}

async function show(context: CommandContext, options: CommonArguments): Promise<void> {
  const configuration = await soundConfiguration(options.config, context);
  const effective = effectiveSettings({ ...options }, context.env, configuration);
  const sources = configuration?.sources.flatMap((source) => shownSource(source, configuration));
  const storage = [...(configuration?.sharing ?? [])].map(([name, { value, line }]): ShownSetting => {
    return { key: `storage.${name}.shared`, value, origin: { kind: 'file', file: configuration?.file ?? '', line } };
  });
  const settings = [...shownSettings(effective, context), ...storage, ...(sources ?? [])];
  showSettings(settings, reporterOf(context, options));
}

/** Directories that depend on the user are shown as they are. */
function shownSettings(
  effective: ReadonlyMap<string, EffectiveValue>,
  context: CommandContext,
): readonly ShownSetting[] {
  const places = new Map([
    ['state-dir', () => stateDirOf(context, { stateDir: undefined })],
    ['cache-dir', () => cacheDirOf(context, { cacheDir: undefined })],
  ]);
  return SETTINGS.flatMap(({ key, section }) => {
    const found = effective.get(key);
    if (found === undefined) return [];
    const value = found.value ?? places.get(key)?.();
    return [{ key: section === undefined ? key : `${section}.${key}`, value, origin: found.origin }];
  });
}

/** Passwords in addresses are not for the screen. */
function shownSource({ name, written }: NamedSource, { file }: Configuration): readonly ShownSetting[] {
  return written.map(({ key, value, line }) => {
    const isAddress = key === 'url' || key === 'mirrors';
    const shown = (text: string): string => (isAddress ? resolveSource(text, undefined, '/').display : text);
    const values = typeof value === 'object' ? value.map(shown) : shown(String(value));
    return { key: `sources.${name}.${key}`, value: values, origin: { kind: 'file', file, line } };
  });
}
