import type { ImageStatus } from './lifecycle.ts';
import { isLocalImage } from './local-image.ts';
import type { ImageRecord } from './record.ts';
import { productsOf, type Selection } from './selection.ts';

/** Statuses in which an image is here, or on its way. */
const HELD: ReadonlySet<ImageStatus> = new Set<ImageStatus>(['queued', 'saving', 'importing', 'active', 'deactivated']);

/**
 * The source that each product belongs to: the one that brought it, so that two sources which offer the same product do not
 * take turns at it. Images of a source that is none any more belong to nobody.
 *
 * @param sources the addresses that images may come from today.
 */
export function ownersOf(records: Iterable<ImageRecord>, sources: ReadonlySet<string>): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  for (const { identity, status, provenance } of records) {
    const { source } = provenance;
    if (isLocalImage(identity)) continue;
    if (source !== undefined && sources.has(source) && HELD.has(status)) owners.set(identity.product, source);
  }
  return owners;
}

/** The products of which images from another source are held, with that source, among those that a source brought now. */
export function formerOwners(
  records: Iterable<ImageRecord>,
  products: ReadonlySet<string>,
  source: string,
): ReadonlyMap<string, string> {
  const former = new Map<string, string>();
  for (const { identity, status, provenance } of records) {
    const other = provenance.source === source ? undefined : provenance.source;
    if (other !== undefined && HELD.has(status) && products.has(identity.product)) former.set(identity.product, other);
  }
  return former;
}

/** What a source may bring, and the products that it may not, by their owner. */
export interface OwnSelection {
  readonly selection: Selection;
  readonly claimed: ReadonlyMap<string, readonly string[]>;
}

/** Leaves out what belongs to other sources. */
export function ownSelection(selection: Selection, source: string, owners: ReadonlyMap<string, string>): OwnSelection {
  const isOwn = ({ identity }: { readonly identity: { readonly product: string } }): boolean =>
    (owners.get(identity.product) ?? source) === source;
  const claimed = new Map<string, string[]>();
  for (const product of productsOf(selection)) {
    const owner = owners.get(product) ?? source;
    if (owner !== source) claimed.set(owner, [...(claimed.get(owner) ?? []), product]);
  }
  return { selection: { wanted: selection.wanted.filter(isOwn), refused: selection.refused.filter(isOwn) }, claimed };
}
