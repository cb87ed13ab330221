import type { Clock, DocumentCache, Fetcher } from '../core/ports.ts';
import { SourceError, TrustError } from '../errors.ts';
import type { Authentication } from './authenticate.ts';
import type { IndexEntry, ProductsDocument } from './document.ts';
import { type Answer, type DownloadContext, isStillTheAnswer } from './download.ts';
import { fetchDocument, type DocumentContext, type FetchedDocument } from './fetch-document.ts';
import { flattenItems, type StreamItem } from './items.ts';
import type { Keyring } from './keyring.ts';
import { LIMITS } from './limits.ts';
import { parseRfc2822Date } from './rfc2822-date.ts';
import { displayUrl, resolveItemUrl, type SourceLocation } from './source.ts';

/** What reading a stream needs from outside. */
export interface StreamContext {
  readonly fetcher: Fetcher;
  /** `signed`: every document must carry a good signature. `none`: signatures are not looked at. */
  readonly authentication: 'signed' | 'none';
  /** Required when documents are signed. */
  readonly keyring: Keyring | undefined;
  readonly cache?: DocumentCache;
  /** Asks every cache on the way for a fresh copy, and does without the one kept here. */
  readonly bypassCaches?: boolean;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** How long one document may take in all; ten minutes unless told otherwise. */
  readonly documentTimeoutMs?: number;
}

/** What a source is at one moment, without its items. */
export interface StreamSummary {
  readonly location: SourceLocation;
  /** In the order of reading: the first is the one that the location names. */
  readonly documents: readonly StreamDocument[];
  /** What was skipped or looks wrong, one line each. */
  readonly warnings: readonly string[];
  /** Whether it offers no item at all. */
  readonly isEmpty: boolean;
}

/** What a source offers at one moment. */
export interface Stream extends StreamSummary {
  /**
   * Everything that was sent for. While the source answers each of them as before, this stream is what it offers. Empty
   * when that would not be enough, because a signature expires.
   */
  readonly answers: readonly Answer[];
  /** Every item of every products document, flattened on the way. */
  items(): Iterable<StreamItem>;
}

/** One document of a stream. */
export interface StreamDocument {
  /** Without credentials. */
  readonly url: string;
  readonly kind: 'index' | 'products';
  /** An index has none of its own. */
  readonly contentId: string | undefined;
  /** As written by the publisher, and in milliseconds since the epoch if it can be read as a date. */
  readonly updated: string | undefined;
  readonly updatedAtMs: number | undefined;
  /** Of the bytes as served, in lower-case hex. */
  readonly sha256: string;
  /** Upper-case hex fingerprint of the primary key. `undefined`: not authenticated. */
  readonly signer: string | undefined;
  /** The same bytes as in the cache. */
  readonly isUnchanged: boolean;
}

/**
 * Reads a stream: the document that the location names and, if that is an index, every document for downloads that it
 * leads to. Each is authenticated by itself, and each path is resolved against the location's base, wherever a request
 * was redirected to.
 *
 * @throws SourceError when a document cannot be read or does not follow the format.
 * @throws TrustError when one is not signed as it must be, or holds a path that could leave the source.
 */
export async function fetchStream(location: SourceLocation, context: StreamContext): Promise<Stream> {
  const reader: Reader = {
    base: location.base,
    context: { ...context, authentication: authenticationOf(location, context) },
    seen: new Set(),
    bytesLeft: LIMITS.streamBytes,
    documents: [],
    products: [],
    answers: [],
    isLasting: true,
    warnings: [],
  };
  await read(reader, { path: location.path, maxBytes: LIMITS.productsBytes, depth: 0 });
  const { documents, products, warnings } = reader;
  const items = (): Iterable<StreamItem> => itemsOf(products);
  const [anything] = items();
  const answers = reader.isLasting ? reader.answers : [];
  return { location, documents, warnings, isEmpty: anything === undefined, answers, items };
}

/**
 * Asks a source whether all of its answers would be as before; one after the other, so that a change is soon known. The
 * fetcher must hold the last response (`holdResponses`).
 */
export async function isSameStream(
  { base, display }: SourceLocation,
  answers: readonly Answer[],
  context: DownloadContext,
): Promise<boolean> {
  for (const answer of answers) {
    if (!answer.url.startsWith(display)) return false;
    const url = new URL(base.href + answer.url.slice(display.length));
    if (!(await isStillTheAnswer(url, answer, context))) return false;
  }
  return answers.length > 0;
}

interface Reader {
  readonly base: URL;
  readonly context: DocumentContext;
  /** Paths that were read, so that neither a loop nor a second mention reads one again. */
  readonly seen: Set<string>;
  /** What the documents still to come may have together. */
  bytesLeft: number;
  readonly documents: StreamDocument[];
  readonly products: AuthenticProducts[];
  readonly answers: Answer[];
  isLasting: boolean;
  readonly warnings: string[];
}

interface AuthenticProducts {
  readonly document: ProductsDocument;
  readonly signer: string | undefined;
}

interface Target {
  readonly path: string;
  readonly maxBytes: number;
  /** How many indexes lead to it. */
  readonly depth: number;
  /** The key under which an index lists it. */
  readonly listedAs?: string;
}

function authenticationOf(location: SourceLocation, context: StreamContext): Authentication | undefined {
  if (context.authentication === 'none') return undefined;
  const { keyring, clock, cache } = context;
  if (keyring !== undefined) return { keyring, clock, verdicts: cache };
  const isLocal = location.base.protocol === 'file:';
  const elsewhere = isLocal ? 'if it is not a directory of this host, begin the address with https://; else ' : '';
  throw new TrustError(`cannot trust ${location.display}: there is no keyring to check its signatures with`, {
    hint: `${elsewhere}add the key of its publisher with 'poolkeeper keyring add', or name a file that holds it with --keyring`,
  });
}

async function read(reader: Reader, target: Target): Promise<void> {
  const url = resolveItemUrl(reader.base, target.path);
  if (reader.seen.has(target.path)) {
    reader.warnings.push(`${displayUrl(url)} is listed more than once and was read once`);
    return;
  }
  assertWithinLimits(reader, target, displayUrl(url));
  reader.seen.add(target.path);
  const document = await fetchDocument(url, Math.min(target.maxBytes, reader.bytesLeft), reader.context);
  const { content, signer, sizeBytes } = document;
  reader.bytesLeft -= sizeBytes;
  reader.documents.push(describe(document));
  reader.answers.push(...document.answers);
  reader.isLasting &&= document.isLasting;
  if (content.kind === 'products') {
    warnOfContentId(reader, target, document.url, content.contentId);
    reader.products.push({ document: content, signer });
    return;
  }
  for (const entry of content.entries) await follow(reader, entry, { index: document.url, depth: target.depth + 1 });
}

function assertWithinLimits({ documents }: Reader, { depth }: Target, url: string): void {
  if (depth > LIMITS.indexDepth) throw new SourceError(`cannot use ${url}: indexes are nested too deeply`, { url });
  if (documents.length >= LIMITS.documents) throw new SourceError(`cannot use ${url}: too many documents`, { url });
}

/**
 * Reads what an index entry leads to, if it is about downloads. A nested index often states no datatype; a products
 * document without one cannot be told from a list of image ids (the reference crashes on it).
 */
async function follow(
  reader: Reader,
  { contentId, path, format, datatype }: IndexEntry,
  { index, depth }: { index: string; depth: number },
): Promise<void> {
  const isIndex = format === 'index:1.0';
  if (datatype !== undefined && datatype !== 'image-downloads') return;
  if (datatype === undefined && !isIndex) {
    reader.warnings.push(`${index}: entry '${contentId}' has no datatype and was skipped`);
  } else if (!isIndex && format !== 'products:1.0') {
    reader.warnings.push(`${index}: entry '${contentId}' is of no known format and was skipped`);
  } else if (path === undefined) {
    reader.warnings.push(`${index}: entry '${contentId}' has no path and was skipped`);
  } else {
    const maxBytes = isIndex ? LIMITS.indexBytes : LIMITS.productsBytes;
    await read(reader, { path, maxBytes, depth, listedAs: contentId });
  }
}

function warnOfContentId(reader: Reader, { listedAs }: Target, url: string, contentId: string): void {
  if (listedAs === undefined || listedAs === contentId) return;
  reader.warnings.push(`${url}: its content_id '${contentId}' is not '${listedAs}', as which the index lists it`);
}

function describe({ url, sha256, signer, isUnchanged, content }: FetchedDocument): StreamDocument {
  const { kind, updated } = content;
  return {
    url,
    kind,
    contentId: kind === 'products' ? content.contentId : undefined,
    updated,
    updatedAtMs: updated === undefined ? undefined : parseRfc2822Date(updated),
    sha256,
    signer,
    isUnchanged,
  };
}

function* itemsOf(products: readonly AuthenticProducts[]): Generator<StreamItem> {
  for (const { document, signer } of products) yield* flattenItems(document, signer);
}
