import type { Configuration, SourceSettings } from '../config/configuration.ts';
import { parseDuration } from '../core/duration.ts';
import type { Filter } from '../core/filter.ts';
import { nearNames } from '../core/near-names.ts';
import { debianArchitecture, ITEM_FILTERS, syncFilters } from '../core/selection.ts';
import { UsageError } from '../errors.ts';
import { PINNED_KEYS } from '../simplestreams/keyring.ts';
import { resolveSource, type SourceLocation } from '../simplestreams/source.ts';
import type { CommandContext } from './context.ts';
import { DEFAULT_SOURCE, type SourceArguments } from './source-options.ts';
import { timedExpression } from './timed-expression.ts';

/** Which keys may sign a source: those of a file, or one of those that are known. */
export type ChosenKeys = { readonly file: string } | { readonly fingerprint: string };

/** A source that a command reads, with everything that was said of it. */
export interface ChosenSource {
  /** Its name in the configuration. */
  readonly name: string | undefined;
  readonly location: SourceLocation;
  readonly filters: readonly Filter[];
  /** Whether the filters are those of this run only: then nothing has gone because they leave it out. */
  readonly isNarrowed: boolean;
  /** Items that may be taken, the best first; empty: whichever the filters leave. */
  readonly preference: readonly string[];
  readonly isSigned: boolean;
  /** `undefined`: those that were added, else Ubuntu's. */
  readonly keys: ChosenKeys | undefined;
  /** Where else its items are, in the order in which they are tried. */
  readonly mirrors: readonly URL[];
  readonly allowRollback: boolean;
  readonly maxDocumentAge: string | undefined;
  /** `undefined`: as for the pool. */
  readonly keepVersions: number | undefined;
}

/** What is said on the command line. */
export interface SourceChoice extends SourceArguments {
  readonly mirror?: readonly string[];
}

/**
 * The sources that a command is to read: the one that is named, else all of the configuration, else Ubuntu's. What is said
 * on the command line counts for each of them.
 *
 * @throws UsageError for a name that there is not, a filter that is none, or an option that is about one source only.
 */
export function chooseSources(options: SourceChoice, context: CommandContext): readonly ChosenSource[] {
  if (options.maxDocumentAge !== undefined) parseDuration(options.maxDocumentAge, '--max-document-age');
  const configured = options.configuration?.sources ?? [];
  if (options.source === undefined && configured.length > 0) {
    if (configured.length > 1) assertAboutAll(options);
    return configured.map((settings) => chooseSource(settings, options, context));
  }
  const named = configured.find(({ name }) => name === options.source);
  if (named !== undefined) return [chooseSource(named, options, context)];
  return [chooseSource(settingsFor(options, context), options, context)];
}

/** What is said of a source that was named; an address that is in the configuration stands for what is there. */
function settingsFor({ source, path, configuration }: SourceChoice, { cwd }: CommandContext): SourceSettings {
  const url = source ?? DEFAULT_SOURCE;
  const configured = configuration?.sources ?? [];
  if (configured.length > 0 && /^[^/:.]+$/.test(url)) throw noSource(url, configured);
  const { display } = resolveSource(url, path, cwd);
  return configured.find((settings) => displayOf(settings) === display) ?? { ...NOTHING_SAID, url };
}

const NOTHING_SAID: Omit<SourceSettings, 'url'> = {
  name: undefined,
  path: undefined,
  mirrors: undefined,
  keyring: undefined,
  policy: undefined,
  filters: undefined,
  items: undefined,
  keepVersions: undefined,
  gone: undefined,
  maxDocumentAge: undefined,
};

function chooseSource(settings: SourceSettings, options: SourceChoice, context: CommandContext): ChosenSource {
  const { name, url, policy, maxDocumentAge, keepVersions } = settings;
  const { keyring, noAuthentication, allowRollback } = options;
  const isNarrowed = name !== undefined && options.filters !== undefined && options.filters.length > 0;
  return {
    name,
    location: resolveSource(url, options.path ?? settings.path, context.cwd),
    ...filtersFor(isNarrowed ? undefined : settings.filters, settings.items, { options, context }),
    isNarrowed,
    isSigned: !noAuthentication && policy !== 'none',
    keys: keyring === undefined ? keysNamed(settings.keyring) : { file: keyring },
    mirrors: mirrorsFor(settings, options, context),
    allowRollback,
    maxDocumentAge: options.maxDocumentAge ?? maxDocumentAge,
    keepVersions,
  };
}

function mirrorsFor({ mirrors = [] }: SourceSettings, { mirror = [] }: SourceChoice, { cwd }: CommandContext) {
  const addresses = mirror.length > 0 ? mirror : mirrors;
  return addresses.map((address) => resolveSource(address, undefined, cwd).base);
}

/** A preference for items takes the place of the one type of item that is taken otherwise. */
function filtersFor(
  configured: readonly string[] | undefined,
  preference: readonly string[] = [],
  { options, context }: { readonly options: SourceChoice; readonly context: CommandContext },
): Pick<ChosenSource, 'filters' | 'preference'> {
  const texts = configured ?? options.filters ?? [];
  const architecture = texts.length > 0 ? '' : debianArchitecture(context.architecture);
  const fixed = preference.length > 0 ? ITEM_FILTERS : undefined;
  return { filters: syncFilters(texts, architecture, timedExpression, fixed), preference };
}

function keysNamed(keyring: string | undefined): ChosenKeys | undefined {
  if (keyring === undefined) return undefined;
  if (keyring.startsWith('/')) return { file: keyring };
  const publisher = Object.entries(PINNED_KEYS).find(([name]) => name === keyring);
  return { fingerprint: publisher?.[1] ?? keyring };
}

/** The address of a source without credentials, under which its images and what it offered last are known. */
export function displayOf({ url, path }: SourceSettings): string {
  return resolveSource(url, path, '/').display;
}

const ABOUT_ONE = ['path', 'keyring', 'mirror'] as const;

function assertAboutAll(options: SourceChoice): void {
  const given = ABOUT_ONE.find((option) => options[option] !== undefined && options[option].length > 0);
  const option = given ?? (options.noAuthentication ? 'no-authentication' : undefined);
  if (option === undefined) return;
  throw new UsageError(`--${option} is about one source, and several are configured`, {
    hint: 'say which with --source NAME, or write it into the configuration',
  });
}

function noSource(name: string, configured: Configuration['sources']): UsageError {
  const names = configured.map((source) => source.name);
  const [near] = nearNames(name, names);
  const known = `configured: ${names.join(', ')}; a directory is written ./${name}`;
  return new UsageError(`there is no source '${name}'`, {
    hint: near === undefined ? known : `did you mean '${near}'?`,
  });
}
