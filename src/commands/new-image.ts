import type { Argv } from 'yargs';
import type { FlatItem } from '../core/filter.ts';
import { encodeVolumeName, type Identity } from '../core/identity.ts';
import { permissionIn } from '../core/image-commands.ts';
import { checkLocalName, localIdentity, localName } from '../core/local-image.ts';
import { IMAGE_TYPES, type ImageRecord, type ImageTraits, type ImageType } from '../core/record.ts';
import { FailureError, UsageError } from '../errors.ts';
import { readRecords } from '../state/records.ts';
import { type PoolArguments, poolOptions } from './options.ts';
import type { Session } from './session.ts';

/** The values that `newImageOptions` yields. */
export interface NewImageArguments extends PoolArguments {
  readonly name: string;
  readonly type: string;
  readonly tag: readonly string[];
  readonly persistent: boolean;
  readonly displayName: string | undefined;
}

/** An image that is to be made. */
export interface NewImage {
  readonly name: string;
  readonly identity: Identity;
  readonly volumeName: string;
  readonly traits: ImageTraits;
  readonly tags: FlatItem;
  /** What is known of an earlier attempt. */
  readonly record: ImageRecord | undefined;
}

/** Options of commands that make an image of the administrator's own. */
export function newImageOptions<T>(yargs: Argv<T>, defaultType: ImageType) {
  const text = { type: 'string', requiresArg: true } as const;
  return poolOptions(yargs)
    .option('name', { ...text, demandOption: true, describe: 'what the image is called: its product is local:NAME' })
    .option('type', { ...text, choices: IMAGE_TYPES, default: defaultType, describe: 'what the image is for' })
    .option('tag', { ...text, array: true, default: [], describe: 'KEY=VALUE to find it by; may be repeated' })
    .option('persistent', { type: 'boolean', default: false, describe: 'for one domain, which writes to it' })
    .option('display-name', { ...text, describe: 'what people call it' });
}

/** Tags that follow from the image itself. */
const OWN_TAGS: ReadonlySet<string> = new Set([
  'product_name',
  'version_name',
  'item_name',
  'ftype',
  'path',
  'size',
  'md5',
  'sha256',
  'sha512',
]);

const TAG = /^([\p{L}\p{N}_-]{1,100})=([^\p{Cc}]{0,1000})$/u;
const LONGEST_DISPLAY_NAME = 200;

/** @throws UsageError naming what does not make sense. */
export function checkNewImage({ name, tag, displayName }: NewImageArguments): void {
  checkLocalName(name);
  parseTags(tag);
  if (displayName !== undefined && (displayName.length > LONGEST_DISPLAY_NAME || /\p{Cc}/u.test(displayName)))
    throw new UsageError(`--display-name must be one line of at most ${LONGEST_DISPLAY_NAME} characters`);
}

/**
 * Chooses the identity of the image, or that of an earlier attempt which did not come to its end.
 *
 * @throws FailureError when there is an image of that name.
 */
export async function planNewImage(session: Session, options: NewImageArguments): Promise<NewImage> {
  const { pool, paths, context } = session;
  const { name, type, persistent, displayName } = options;
  const { records } = await readRecords(paths.records);
  const known = [...records.values()].filter(({ identity }) => localName(identity) === name).filter(isThere);
  const record = known.find(({ status }) => permissionIn('import', status).kind === 'allowed');
  const taken = known.find((other) => other !== record);
  if (taken !== undefined) throw nameTaken(name, taken);
  const identity = record?.identity ?? localIdentity(name, new Date(context.clock.now()).toISOString());
  return {
    name,
    identity,
    volumeName: encodeVolumeName(identity, pool.type),
    traits: { type: toImageType(type), isPersistent: persistent, displayName },
    tags: { ...parseTags(options.tag), x_poolkeeper_name: displayName ?? name, x_poolkeeper_type: type },
    record,
  };
}

function isThere({ status, traits }: ImageRecord): boolean {
  return status !== 'deleted' && traits?.snapshotOf === undefined;
}

function toImageType(text: string): ImageType {
  return IMAGE_TYPES.find((known) => known === text) ?? 'os';
}

/** Tags as the user gave them. @throws UsageError for what is no tag, or follows from the image. */
export function parseTags(tags: readonly string[]): FlatItem {
  return Object.fromEntries(tags.map(parseTag));
}

function parseTag(text: string): readonly [string, string] {
  const [, key, value] = TAG.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    throw new UsageError(`'${text}' is not a tag`, { hint: 'write --tag KEY=VALUE, such as --tag release=golden' });
  }
  return [checkTagName(key), value];
}

/** @throws UsageError for tags that follow from the image itself. */
export function checkTagName(key: string): string {
  if (!OWN_TAGS.has(key) && !key.startsWith('x_poolkeeper_')) return key;
  throw new UsageError(`tag '${key}' cannot be given: it follows from the image`);
}

function nameTaken(name: string, { status }: ImageRecord): FailureError {
  const hint =
    status === 'pending_delete'
      ? `'poolkeeper undo local:${name}' takes it back; once it is deleted, its name is free`
      : 'choose another name, or delete that image first';
  return new FailureError(`image '${name}' exists already: its status is ${status}`, { hint });
}
