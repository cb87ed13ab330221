import { type Filter, matchesAll, parseFilter } from '../core/filter.ts';
import { compareIdentities, type Identity, identityText } from '../core/identity.ts';
import { nearNames } from '../core/near-names.ts';
import type { ImageRecord } from '../core/record.ts';
import { NoMatchError, UsageError } from '../errors.ts';
import type { PoolView } from '../gather/pool-view.ts';

/** A managed volume of a pool that a command is about. */
export interface FoundImage {
  readonly volumeName: string;
  readonly identity: Identity;
  readonly record: ImageRecord | undefined;
  /** What its metadata file or its record says of it. */
  readonly tags: ImageRecord['tags'];
  readonly isOffered: boolean;
}

/** Every image of the pool that has a volume. */
export function imagesOf({ managed, records, metadata }: PoolView): readonly FoundImage[] {
  const images = [...managed].map(([volumeName, { identity }]) => {
    const record = records.get(volumeName);
    const item = metadata.get(identityText(identity))?.item;
    return { volumeName, identity, record, tags: item ?? record?.tags ?? {}, isOffered: item !== undefined };
  });
  return images.toSorted((a, b) => compareIdentities(a.identity, b.identity));
}

/**
 * Finds the one image that is meant: by the name of its volume, by `PRODUCT VERSION` as one word or two, by the product
 * alone where there is one version, or by filters on its tags.
 *
 * @throws NoMatchError when there is none; UsageError when several fit, with a list of them.
 */
export function findImage(words: readonly string[], images: readonly FoundImage[]): FoundImage {
  const text = words.join(' ');
  const named = images.filter((image) => namesOf(image).includes(text));
  const found = named.length > 0 ? named : images.filter(matcher(words));
  const [first, ...others] = found;
  if (first === undefined) throw notFound(text, images);
  if (others.length === 0) return first;
  const list = found.map(({ identity }) => `\n  ${identityText(identity)}`);
  throw new UsageError(`'${text}' may be any of ${found.length} images:${list.join('')}`, {
    hint: 'name one as PRODUCT VERSION, or by its volume',
  });
}

/** Words that are all filters; anything else is a name that fits nothing. */
function matcher(words: readonly string[]): (image: FoundImage) => boolean {
  const filters = words.flatMap((word): readonly Filter[] => (/[=~]/.test(word) ? [parseFilter(word)] : []));
  if (filters.length === 0 || filters.length < words.length) return () => false;
  return ({ tags }) => matchesAll(tags, filters);
}

function notFound(text: string, images: readonly FoundImage[]): NoMatchError {
  const near = nearNames(text, images.flatMap(namesOf));
  const hint = near.map((name) => `'${name}'`).join(' or ');
  return new NoMatchError(`no image is called '${text}'`, {
    hint: hint === '' ? 'name it as PRODUCT VERSION, or by its volume' : `did you mean ${hint}?`,
  });
}

function namesOf({ volumeName, identity }: FoundImage): readonly string[] {
  return [volumeName, identityText(identity), `${identity.product}:${identity.version}`, identity.product];
}
