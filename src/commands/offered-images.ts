import type { FlatItem } from '../core/filter.ts';
import { type Identity, identityText } from '../core/identity.ts';
import type { PoolView } from '../gather/pool-view.ts';

/** An image that is offered to new domains: it has both a volume and a metadata file. */
export interface OfferedImage {
  readonly identity: Identity;
  readonly volumeName: string;
  /** Its metadata file. */
  readonly item: FlatItem;
  /** What filters look at. */
  readonly tags: FlatItem;
}

/** Every image that is offered, in no order. */
export function offeredImages({ managed, metadata }: PoolView): readonly OfferedImage[] {
  return [...managed].flatMap(([volumeName, { identity }]) => {
    const item = metadata.get(identityText(identity))?.item;
    if (item === undefined) return [];
    const names = { product_name: identity.product, version_name: identity.version, item_name: 'disk1.img' };
    return [{ identity, volumeName, item, tags: { ...item, ...names } }];
  });
}
