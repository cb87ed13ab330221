import { type Filter, matchesAll, parseFilter } from '../core/filter.ts';
import { compareIdentities, decodeVolumeName, type Identity, identityText } from '../core/identity.ts';
import { effectiveStatus, type ImageStatus } from '../core/lifecycle.ts';
import { localName } from '../core/local-image.ts';
import { nearNames } from '../core/near-names.ts';
import type { ImageRecord } from '../core/record.ts';
import { NoMatchError, UsageError } from '../errors.ts';
import { gatherPoolView, type PoolView } from '../gather/pool-view.ts';
import { listVolumeNames } from '../libvirt/volume.ts';
import type { Session } from './session.ts';
import { timedExpression } from './timed-expression.ts';

/** An image of a pool that a command is about. */
export interface FoundImage {
  readonly volumeName: string;
  readonly identity: Identity;
  readonly record: ImageRecord | undefined;
  /** What its metadata file or its record says of it, and which image it is. */
  readonly tags: ImageRecord['tags'];
  /** It has a metadata file and a volume. */
  readonly isOffered: boolean;
  readonly hasVolume: boolean;
  readonly status: ImageStatus;
}

/** Every image of the pool, as they are now. */
export async function readImages({ connection, pool, paths }: Session): Promise<readonly FoundImage[]> {
  return imagesOf(await gatherPoolView(pool, await listVolumeNames(connection, pool.name), paths));
}

/** Every image of the pool: those that have a volume, and those of which only a record tells. */
export function imagesOf(view: PoolView): readonly FoundImage[] {
  const held = [...view.managed].map(([volumeName, { identity }]) => toImage(volumeName, identity, view));
  const recorded = [...view.records.values()].filter(({ volumeName }) => !view.managed.has(volumeName));
  const absent = recorded.map(({ volumeName, identity }) => toImage(volumeName, identity, view));
  return [...held, ...absent].toSorted((a, b) => compareIdentities(a.identity, b.identity));
}

function toImage(volumeName: string, identity: Identity, view: PoolView): FoundImage {
  const { managed, records, metadata, unclaimed } = view;
  const hasVolume = managed.has(volumeName);
  const isUnclaimed = unclaimed.has(volumeName);
  const known = records.get(volumeName);
  // A mere presumption that it is garbage counts for nothing.
  const record = isUnclaimed && known?.status !== 'deleted' ? undefined : known;
  const item = metadata.get(identityText(identity))?.item;
  const isOffered = hasVolume && item !== undefined;
  const names = { product_name: identity.product, version_name: identity.version };
  const tags = { item_name: 'disk1.img', ...(item ?? record?.tags), ...names };
  const status = effectiveStatus(record?.status, { hasVolume, isOffered, isUnclaimed });
  return { volumeName, identity, record, tags, isOffered, hasVolume, status };
}

/**
 * Finds the one image that is meant: by the name of its volume, by `PRODUCT VERSION` as one word or two, by the product
 * alone where there is one version, by the name that the administrator gave, or by filters on its tags. What is gone is
 * only meant when nothing else can be.
 *
 * @throws NoMatchError when there is none; UsageError when several fit, with a list of them.
 */
export function findImage(words: readonly string[], images: readonly FoundImage[]): FoundImage {
  const text = words.join(' ');
  const byName = (image: FoundImage): boolean => namesOf(image).includes(text);
  const matches = [byName, matcher(words)];
  for (const fits of matches) {
    for (const isMeant of TIERS) {
      const found = images.filter((image) => isMeant(image) && fits(image));
      if (found.length > 0) return onlyOne(text, found);
    }
  }
  throw notFound(words, images);
}

/**
 * Finds several images: all words together name one, or each of them does.
 *
 * @throws as `findImage`.
 */
export function findImages(words: readonly string[], images: readonly FoundImage[]): readonly FoundImage[] {
  const text = words.join(' ');
  const isOne = words.every(isFilter) || images.some((image) => namesOf(image).includes(text));
  const found = isOne ? [findImage(words, images)] : words.map((word) => findImage([word], images));
  return [...new Set(found)];
}

/** What is there, then what is on its way, then what was. */
const TIERS: readonly ((image: FoundImage) => boolean)[] = [
  ({ hasVolume }) => hasVolume,
  ({ hasVolume, status }) => !hasVolume && status !== 'deleted',
  ({ hasVolume, status }) => !hasVolume && status === 'deleted',
];

function onlyOne(text: string, found: readonly FoundImage[]): FoundImage {
  const [first, ...others] = found;
  if (first === undefined) throw new TypeError('there is no image to choose from');
  if (others.length === 0) return first;
  const list = found.map(({ identity }) => `\n  ${identityText(identity)}`);
  throw new UsageError(`'${text}' may be any of ${found.length} images:${list.join('')}`, {
    hint: 'name one as PRODUCT VERSION, or by its volume',
  });
}

/** Words that are all filters; anything else is a name that fits nothing. */
function matcher(words: readonly string[]): (image: FoundImage) => boolean {
  if (words.length === 0 || !words.every(isFilter)) return () => false;
  const filters: readonly Filter[] = words.map((word) => parseFilter(word, timedExpression));
  return ({ tags }) => matchesAll(tags, filters);
}

/** A volume that is gone must not be taken for a filter: `x-uvt-b64-…=` would match whatever has no such tag. */
function isFilter(word: string): boolean {
  return /^[\p{L}\p{N}_|-]+\s*(?:!=|!~|=|~)/u.test(word) && decodeVolumeName(word) === undefined;
}

const LIST_HINT = `'poolkeeper list' shows the images that there are`;

function notFound(words: readonly string[], images: readonly FoundImage[]): NoMatchError {
  const text = words.join(' ');
  if (words.every(isFilter)) return new NoMatchError(`no image matches ${text}`, { hint: LIST_HINT });
  const near = nearNames(text, images.filter(({ status }) => status !== 'deleted').flatMap(namesOf));
  const hint = near.map((name) => `'${name}'`).join(' or ');
  return new NoMatchError(`no image is called '${text}'`, {
    hint: hint === '' ? LIST_HINT : `did you mean ${hint}?`,
  });
}

/** Everything that an image answers to. */
export function namesOf({ volumeName, identity, record }: Pick<FoundImage, 'volumeName' | 'identity' | 'record'>) {
  const given = [localName(identity), record?.traits?.displayName].filter((name) => name !== undefined);
  return [volumeName, identityText(identity), `${identity.product}:${identity.version}`, identity.product, ...given];
}
