import type { FlatItem } from '../core/filter.ts';
import type { OfferedItem } from '../core/selection.ts';
import type { ProductsDocument } from './document.ts';

/** One item of a stream with the tags of its version, product and document. Its path is safe. */
export interface StreamItem extends OfferedItem {
  readonly contentId: string;
}

/**
 * The items of a products document, flattened: the deeper level wins, and the structural names win over members of
 * the same name (`product_name`, `version_name`, `item_name`), where the reference lets the document override them. Tags come in the reference's order, which
 * is that of their first appearance.
 */
export function* flattenItems(document: ProductsDocument, signer: string | undefined): Generator<StreamItem> {
  const { contentId } = document;
  for (const product of document.products) {
    const productTags = { ...document.tags, ...product.tags, product_name: product.name };
    for (const version of product.versions) {
      const versionTags = { ...productTags, ...version.tags, version_name: version.name };
      const place = { product_name: product.name, version_name: version.name };
      for (const item of version.items) {
        const tags: FlatItem = { ...versionTags, ...item.tags, ...place, item_name: item.name };
        const path = tags['path'] === '' ? undefined : tags['path'];
        yield { contentId, product: product.name, version: version.name, itemName: item.name, path, tags, signer };
      }
    }
  }
}
