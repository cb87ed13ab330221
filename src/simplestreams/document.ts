import { SourceError } from '../errors.ts';
import { expandAliases } from './aliases.ts';
import { malformed, optionalString, parseBoundedJson, requireObject, type JsonObject } from './json.ts';
import { LIMITS } from './limits.ts';
import { assertSafePath } from './safe-path.ts';

/** The scalar members of one level of a document, as strings in Python's spelling. */
export type Tags = Readonly<Record<string, string>>;

/** A simplestreams document of either kind, checked member by member. Every path in it is safe. */
export type ParsedDocument = IndexDocument | ProductsDocument;

export interface IndexDocument {
  readonly kind: 'index';
  readonly updated: string | undefined;
  readonly entries: readonly IndexEntry[];
}

export interface IndexEntry {
  readonly contentId: string;
  readonly path: string | undefined;
  readonly format: string | undefined;
  readonly datatype: string | undefined;
}

export interface ProductsDocument {
  readonly kind: 'products';
  readonly contentId: string;
  readonly updated: string | undefined;
  readonly tags: Tags;
  readonly products: readonly Product[];
}

export interface Product {
  readonly name: string;
  readonly tags: Tags;
  readonly versions: readonly Version[];
}

export interface Version {
  readonly name: string;
  readonly tags: Tags;
  readonly items: readonly Item[];
}

export interface Item {
  readonly name: string;
  readonly tags: Tags;
}

/**
 * Reads an `index:1.0` or `products:1.0` document; `url` names it in errors.
 *
 * @throws SourceError when it does not follow the format, with the JSON path of the place.
 * @throws TrustError when a path anywhere in it could leave the source, whether or not that item is wanted.
 */
export function parseDocument(payload: Uint8Array, url: string): ParsedDocument {
  const root = requireObject(parseBoundedJson(payload, url), url);
  const format = root['format'];
  if (format === 'index:1.0') return parseIndex(expandAliases(root, url), url);
  if (format === 'products:1.0') return parseProducts(expandAliases(root, url), url);
  const found = format === undefined ? 'it has no format' : `its format is ${JSON.stringify(format)}`;
  throw new SourceError(`cannot use ${url}: ${found}`, { url, hint: 'index:1.0 and products:1.0 can be read' });
}

function parseIndex(root: JsonObject, url: string): IndexDocument {
  const entries = Object.entries(requireObject(root['index'], url, 'index'));
  return {
    kind: 'index',
    updated: informationalString(root['updated']),
    entries: entries.map(([contentId, value]) => parseEntry(contentId, value, url)),
  };
}

function parseEntry(contentId: string, value: unknown, url: string): IndexEntry {
  const entry = requireObject(value, url, 'index', contentId);
  const path = optionalString(entry['path'], url, 'index', contentId, 'path');
  if (path !== undefined) assertSafePath(path, url);
  return {
    contentId,
    path,
    format: optionalString(entry['format'], url, 'index', contentId, 'format'),
    datatype: optionalString(entry['datatype'], url, 'index', contentId, 'datatype'),
  };
}

function parseProducts(root: JsonObject, url: string): ProductsDocument {
  const contentId = optionalString(root['content_id'], url, 'content_id');
  if (contentId === undefined) throw malformed(url, ['content_id'], 'is missing');
  const products = Object.entries(requireObject(root['products'], url, 'products'));
  return {
    kind: 'products',
    contentId,
    updated: informationalString(root['updated']),
    tags: scalarTags(root, url),
    products: products.map(([name, value]) => parseProduct(name, value, url)),
  };
}

function parseProduct(name: string, value: unknown, url: string): Product {
  const product = requireObject(value, url, 'products', name);
  const versions = requireObject(product['versions'] ?? {}, url, 'products', name, 'versions');
  return {
    name,
    tags: scalarTags(product, url),
    versions: Object.entries(versions).map(([key, version]) => parseVersion(name, key, version, url)),
  };
}

function parseVersion(product: string, name: string, value: unknown, url: string): Version {
  const version = requireObject(value, url, 'products', product, 'versions', name);
  const items = requireObject(version['items'] ?? {}, url, 'products', product, 'versions', name, 'items');
  return {
    name,
    tags: scalarTags(version, url),
    items: Object.entries(items).map(([key, item]) => ({
      name: key,
      tags: scalarTags(requireObject(item, url, 'products', product, 'versions', name, 'items', key), url),
    })),
  };
}

/** `path` is checked on every level, because any level hands its members down to the items. */
function scalarTags(node: JsonObject, url: string): Tags {
  // An own `__proto__` member is dropped here: assigning a string to it does nothing.
  const tags: Record<string, string> = {};
  let count = 0;
  for (const [key, value] of Object.entries(node)) {
    const text = scalarText(value);
    if (text === undefined) continue;
    tags[key] = text;
    count += 1;
  }
  if (count > LIMITS.tagsPerLevel) throw new SourceError(`cannot use ${url}: an object has too many tags`, { url });
  const { path } = tags;
  if (path !== undefined && path !== '') assertSafePath(path, url);
  return tags;
}

/**
 * Python's `str` of a scalar. JSON.parse has already turned `1.0` into `1` and rounded integers beyond 2^53: harmless,
 * as published feeds have integers in `size` only.
 */
function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return undefined;
}

function informationalString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
