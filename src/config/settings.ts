import { parseBytes } from '../core/byte-size.ts';
import { parseDuration } from '../core/duration.ts';
import { isAccountName } from '../core/permissions.ts';
import { assertWholeNumber } from '../core/whole-number.ts';
import { UsageError } from '../errors.ts';
import type { Placed } from './mistake.ts';

export type SettingValue = string | number;

/** The maps of the file that hold settings. */
export const SETTING_SECTIONS = ['retention', 'permissions'] as const;

export type SettingSection = (typeof SETTING_SECTIONS)[number];

/** A setting that an option of the same name overrides. */
export interface Setting {
  /** As it stands in the file, and as an option behind two dashes. */
  readonly key: string;
  /** The name of the option's value in a program. */
  readonly option: string;
  /** The map of the file that holds it; `undefined`: the outermost. */
  readonly section?: SettingSection;
  /** An environment variable that comes between option and file. */
  readonly variable?: string;
  /** Its value when nobody says anything; `undefined`: off, or told by the host. */
  readonly fallback?: SettingValue;
  /** @throws UsageError when the text makes no sense. */
  readonly read: (text: string, name: string) => SettingValue;
}

/** What products become that left their source. */
export const GONE_CHOICES = ['keep', 'drop-when-unused'] as const;

/** Each job has a connection to libvirt, of which libvirtd accepts some tens. */
export const MOST_JOBS = 16;

/** More than any product ever has. */
export const MOST_VERSIONS = 1000;

/** More would only hide that something is wrong. */
export const MOST_RETRIES = 100;

/** The pool that commands work on unless told otherwise. */
export const DEFAULT_POOL = 'uvtool';

/** How long what was deleted can be brought back. */
export const DEFAULT_TRASH_FOR = '7d';

/** Every setting, in the order in which they are shown. */
export const SETTINGS: readonly Setting[] = [
  { key: 'connect', option: 'connect', variable: 'LIBVIRT_DEFAULT_URI', read: text },
  { key: 'pool', option: 'pool', variable: 'POOLKEEPER_POOL', fallback: DEFAULT_POOL, read: text },
  { key: 'state-dir', option: 'stateDir', variable: 'POOLKEEPER_STATE_DIR', read: directory },
  { key: 'cache-dir', option: 'cacheDir', read: directory },
  { key: 'metadata-dir', option: 'metadataDir', read: directory },
  { key: 'jobs', option: 'jobs', fallback: 2, read: number(1, MOST_JOBS) },
  { key: 'reserve', option: 'reserve', fallback: '0', read: size },
  { key: 'retries', option: 'retries', fallback: 4, read: number(0, MOST_RETRIES) },
  { key: 'stall-timeout', option: 'stallTimeout', fallback: '60s', read: longDuration },
  {
    key: 'keep-versions',
    option: 'keepVersions',
    section: 'retention',
    fallback: 1,
    read: number(1, MOST_VERSIONS),
  },
  { key: 'grace', option: 'grace', section: 'retention', fallback: '2h', read: duration },
  { key: 'min-age', option: 'minAge', section: 'retention', fallback: '2h', read: duration },
  { key: 'unused-for', option: 'unusedFor', section: 'retention', read: longDuration },
  { key: 'max-size', option: 'maxSize', section: 'retention', read: largeSize },
  { key: 'gone', option: 'gone', section: 'retention', fallback: 'keep', read: gone },
  { key: 'trash-for', option: 'trashFor', section: 'retention', fallback: DEFAULT_TRASH_FOR, read: duration },
  { key: 'trash-min-free', option: 'trashMinFree', section: 'retention', fallback: 10, read: number(0, 99) },
  { key: 'owner', option: 'volumeOwner', section: 'permissions', read: account },
  { key: 'group', option: 'volumeGroup', section: 'permissions', read: account },
  { key: 'mode', option: 'volumeMode', section: 'permissions', read: mode },
];

/** Where an effective value comes from. */
export type Origin =
  | { readonly kind: 'flag' }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'file'; readonly file: string; readonly line: number }
  | { readonly kind: 'default' };

export interface EffectiveValue {
  readonly value: SettingValue | undefined;
  readonly origin: Origin;
}

/** What a configuration file says of the settings, by key. */
export interface FileSettings {
  readonly file: string;
  readonly settings: ReadonlyMap<string, Placed<SettingValue>>;
}

/**
 * The value of every setting, by key: that of the option, else that of the environment, else that of the file, else the
 * default. The metadata directory of the file is that of the pool of the file; another pool has its own.
 */
export function effectiveSettings(
  options: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
  file: FileSettings | undefined,
): ReadonlyMap<string, EffectiveValue> {
  const effective = new Map(
    SETTINGS.map((setting) => [setting.key, effectiveValue(setting, { options, env, file })] as const),
  );
  const usualPool = file?.settings.get('pool')?.value ?? DEFAULT_POOL;
  const isOfFile = effective.get('metadata-dir')?.origin.kind === 'file';
  if (isOfFile && effective.get('pool')?.value !== usualPool)
    effective.set('metadata-dir', { value: undefined, origin: { kind: 'default' } });
  return effective;
}

interface Given {
  readonly options: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file: FileSettings | undefined;
}

function effectiveValue(setting: Setting, { options, env, file }: Given): EffectiveValue {
  const { key, option, variable, fallback } = setting;
  const flag = options[option];
  if (typeof flag === 'string' || typeof flag === 'number') return { value: flag, origin: { kind: 'flag' } };
  const exported = variable === undefined ? undefined : env[variable];
  if (variable !== undefined && exported !== undefined && exported !== '')
    return { value: setting.read(exported, variable), origin: { kind: 'environment', variable } };
  const placed = file?.settings.get(key);
  if (file !== undefined && placed !== undefined)
    return { value: placed.value, origin: { kind: 'file', file: file.file, line: placed.line } };
  return { value: fallback, origin: { kind: 'default' } };
}

/** Any text. */
export function text(given: string): string {
  return given;
}

/** A period of time, as it was written. */
export function duration(given: string, name: string): string {
  parseDuration(given, name);
  return given;
}

/** As commands are run from anywhere, by timers too, nothing in a file is relative to where they are run. */
function directory(given: string, name: string): string {
  if (given.startsWith('/')) return given;
  throw new UsageError(`${name} must be an absolute path`, { hint: 'begin it with /' });
}

function longDuration(given: string, name: string): string {
  if (parseDuration(given, name) > 0) return given;
  throw new UsageError(`${name} must be longer than nothing`, { hint: 'leave it out to switch it off' });
}

function size(given: string, name: string): string {
  parseBytes(given, name);
  return given;
}

function largeSize(given: string, name: string): string {
  if (parseBytes(given, name) > 0n) return given;
  throw new UsageError(`${name} must be larger than nothing`, { hint: 'leave it out to have no limit' });
}

function account(given: string, name: string): string {
  if (isAccountName(given)) return given;
  throw new UsageError(`${name} cannot be '${given}'`, { hint: 'give a name, such as libvirt-qemu, or a number' });
}

/** libvirtd has to write what it makes, also where it is not root; and nobody else but a group may change an image. */
function mode(given: string, name: string): string {
  if (/^0?6[0246][04]$/.test(given)) return given.padStart(4, '0');
  throw new UsageError(`${name} cannot be ${given}`, {
    hint: 'the owner reads and writes, the group may, others may only read: such as 0600, 0640 or 0660',
  });
}

/** A whole number, as it stands. */
export function number(least: number, most: number): (given: string, name: string) => number {
  return (given, name) => assertWholeNumber(/^\d+$/.test(given) ? Number(given) : NaN, name, least, most);
}

/** What becomes of products that left their source. */
export function gone(given: string, name: string): (typeof GONE_CHOICES)[number] {
  const found = GONE_CHOICES.find((choice) => choice === given);
  if (found !== undefined) return found;
  throw new UsageError(`${name} cannot be ${given}, only ${GONE_CHOICES.join(' or ')}`);
}
