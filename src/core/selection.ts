import { UsageError } from '../errors.ts';
import { type CompileExpression, type Filter, type FlatItem, matchesAll, parseFilter } from './filter.ts';
import { type Identity, isNameable } from './identity.ts';
import { isLocalImage } from './local-image.ts';
import type { Digest } from './record.ts';
import { compareVersions } from './version.ts';

/** One downloadable file of a simplestreams source, flattened. */
export interface OfferedItem {
  readonly product: string;
  readonly version: string;
  readonly itemName: string;
  /** Relative to the base of the source; `undefined` for an item without content. */
  readonly path: string | undefined;
  readonly tags: FlatItem;
  /** Fingerprint of the key that signed the document; `undefined`: not authenticated. */
  readonly signer: string | undefined;
}

/** An item that should be in the pool. */
export interface WantedImage {
  readonly identity: Identity;
  readonly path: string;
  readonly sizeBytes: bigint;
  readonly digest: Digest;
  readonly tags: FlatItem;
  readonly signer: string | undefined;
}

/** An item that matches, yet cannot be taken. */
export interface RefusedItem {
  readonly identity: Identity;
  readonly reason: string;
  /** It bears a name that belongs to this host alone: no honest source publishes one. */
  readonly isReserved?: true;
}

export interface Selection {
  /** The newest version of every product that matches, in the order of the source. */
  readonly wanted: readonly WantedImage[];
  readonly refused: readonly RefusedItem[];
}

/**
 * The products that a source names and the filters select, whether they can be taken or not. The names that belong to this
 * host are not among them, whatever a source says.
 */
export function productsOf({ wanted, refused }: Selection): ReadonlySet<string> {
  const named = [...wanted, ...refused].filter(({ identity }) => !isLocalImage(identity));
  return new Set(named.map(({ identity }) => identity.product));
}

/** More names than any publisher has; what lies beyond counts as never listed, so that it is kept. */
const MAX_LISTED = 100_000;

/** The names of all products of a source, whatever the filters say of them. */
export function listedProducts(items: Iterable<Pick<OfferedItem, 'product'>>): readonly string[] {
  const listed = new Set<string>();
  for (const { product } of items) {
    if (listed.size >= MAX_LISTED) break;
    if (!isLocalImage({ product })) listed.add(product);
  }
  return [...listed];
}

/** What holds of every item that is an image at all. */
export const ITEM_FILTERS = ['datatype=image-downloads'];

const SYNC_FILTERS = [...ITEM_FILTERS, 'ftype=disk1.img'];

/**
 * The filters of a `sync`: the user's, or the host's architecture where there are none, and uvtool's two fixed ones.
 * A fixed one gives way to a filter on the same key, so that sources with other names for their images can be used.
 *
 * @param fixed those that hold unless the user says otherwise; `ITEM_FILTERS` where items are chosen by preference.
 * @throws UsageError when a text is not a filter.
 */
export function syncFilters(
  texts: readonly string[],
  architecture: string,
  compile?: CompileExpression,
  fixed: readonly string[] = SYNC_FILTERS,
): readonly Filter[] {
  const own = texts.length > 0 ? texts : [`arch=${architecture}`];
  const filters = own.map((text) => parseFilter(text, compile));
  const named = new Set(filters.map((filter) => filter.key));
  const usual = fixed.map((text) => parseFilter(text)).filter((filter) => !named.has(filter.key));
  return [...usual, ...filters];
}

/**
 * The images to hold: of each product that has items left after filtering, the item of its newest version. Filters come
 * first, so a version without matching items does not count. Products of the same name in several documents are one.
 *
 * @param poolType libvirt's word; it decides which names volumes can have.
 * @param preference items that may be taken, by name or type, the best first: the first that a version has is taken. Empty:
 * any item, and a version with several is refused.
 */
export function selectNewest(
  items: Iterable<OfferedItem>,
  filters: readonly Filter[],
  poolType: string,
  preference: readonly string[] = [],
): Selection {
  const newest = new Map<string, OfferedItem[]>();
  for (const item of items) {
    if (isEligible(item, filters, preference)) addCandidate(newest, item);
  }
  const wanted: WantedImage[] = [];
  const refused: RefusedItem[] = [];
  for (const candidates of newest.values()) {
    const image = toWantedImage(preferred(candidates, preference), poolType);
    if ('reason' in image) refused.push(image);
    else wanted.push(image);
  }
  return { wanted, refused };
}

/** Whether an item has content, satisfies the filters, and may be taken at all. */
export function isEligible(item: OfferedItem, filters: readonly Filter[], preference: readonly string[]): boolean {
  if (item.path === undefined || !matchesAll(item.tags, filters)) return false;
  return preference.length === 0 || rankOf(item, preference) < preference.length;
}

/** Keeps, per product, the distinct items of its newest version so far. */
function addCandidate(newest: Map<string, OfferedItem[]>, item: OfferedItem): void {
  const known = newest.get(item.product);
  const order = known?.[0] === undefined ? 1 : compareVersions(item.version, known[0].version);
  if (known === undefined || order > 0) newest.set(item.product, [item]);
  else if (order === 0 && !known.some((other) => other.itemName === item.itemName)) known.push(item);
}

/** The place of an item in the order of preference; that behind the last for one that is not in it. */
function rankOf({ itemName, tags }: OfferedItem, preference: readonly string[]): number {
  const rank = preference.findIndex((name) => name === itemName || name === tags['ftype']);
  return rank === -1 ? preference.length : rank;
}

/** The best of the items of a version; several, where no preference tells them apart. */
export function preferred(candidates: readonly OfferedItem[], preference: readonly string[]): readonly OfferedItem[] {
  const best = Math.min(...candidates.map((item) => rankOf(item, preference)));
  return candidates.filter((item) => rankOf(item, preference) === best);
}

function toWantedImage(candidates: readonly OfferedItem[], poolType: string): WantedImage | RefusedItem {
  const [item, ...others] = candidates;
  if (item?.path === undefined) throw new TypeError('a selected product without an item');
  const identity = { product: item.product, version: item.version };
  if (isLocalImage(identity))
    return { identity, reason: `names that begin with 'local:' belong to this host`, isReserved: true };
  if (others.length > 0) {
    const names = candidates.map(({ itemName }) => itemName).join(', ');
    return {
      identity,
      reason: `the filters match several of its items (${names}); add a filter such as ftype=${item.itemName}`,
    };
  }
  const sizeBytes = parseSize(item.tags['size']);
  const digest = strongestDigest(item.tags);
  if (sizeBytes === undefined) return { identity, reason: 'the source gives no size for it' };
  if (digest === undefined) return { identity, reason: 'the source gives no SHA-256 or SHA-512 checksum for it' };
  if (!isNameable(identity, poolType))
    return { identity, reason: 'its product or version name cannot be part of a volume name' };
  return { identity, path: item.path, sizeBytes, digest, tags: item.tags, signer: item.signer };
}

/** What a source says of the size of an item; `undefined` when that is no size of an image. */
export function parseSize(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[0-9]{1,18}$/.test(text) && BigInt(text) > 0n ? BigInt(text) : undefined;
}

/** The checksum that counts: the strongest present, and that one only. MD5 alone is not enough to trust an image. */
function strongestDigest(tags: FlatItem): Digest | undefined {
  const lengths = { sha512: 128, sha256: 64 } as const;
  for (const algorithm of ['sha512', 'sha256'] as const) {
    const hex = tags[algorithm]?.toLowerCase();
    if (hex === undefined) continue;
    return /^[0-9a-f]+$/.test(hex) && hex.length === lengths[algorithm] ? { algorithm, hex } : undefined;
  }
  return undefined;
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'armhf',
  ia32: 'i386',
  ppc64: 'ppc64el',
  s390x: 's390x',
  riscv64: 'riscv64',
};

/** The name that Debian and simplestreams give to an architecture of Node (`process.arch`). */
export function debianArchitecture(nodeArchitecture: string): string {
  const name = Object.hasOwn(ARCHITECTURES, nodeArchitecture) ? ARCHITECTURES[nodeArchitecture] : undefined;
  if (name === undefined)
    throw new UsageError(`no image architecture is known for '${nodeArchitecture}'`, {
      hint: 'give a filter such as arch=amd64',
    });
  return name;
}
