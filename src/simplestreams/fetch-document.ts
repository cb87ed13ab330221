import { SourceError, TrustError } from '../errors.ts';
import {
  authenticate,
  digestOf,
  hasDetachedSignature,
  withoutAuthentication,
  type Authentication,
} from './authenticate.ts';
import { refused } from './clear-signed.ts';
import { parseDocument, type ParsedDocument } from './document.ts';
import { type Answer, answerOf, download, type Download, type DownloadContext } from './download.ts';
import { LIMITS } from './limits.ts';
import { displayUrl } from './source.ts';

/** How documents are fetched, and what makes them acceptable. */
export interface DocumentContext extends DownloadContext {
  /** `undefined`: the source needs no signatures. */
  readonly authentication: Authentication | undefined;
}

/** A document that was fetched, authenticated and read. */
export interface FetchedDocument {
  /** Without credentials. */
  readonly url: string;
  /** Of the bytes as served, in lower-case hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly signer: string | undefined;
  /** The server or a comparison said that it is what the cache had. */
  readonly isUnchanged: boolean;
  /** What was sent for: the document, and its detached signature where its form has one. */
  readonly answers: readonly Answer[];
  /** As in `Authentic`. */
  readonly isLasting: boolean;
  readonly content: ParsedDocument;
}

/**
 * Fetches one document and checks everything about it. Content that cannot be used is fetched once more past every
 * cache: the cache may be damaged or stale, and a publisher may have replaced a document between it and its signature.
 *
 * @throws SourceError or TrustError of the second attempt.
 */
export async function fetchDocument(url: URL, maxBytes: number, context: DocumentContext): Promise<FetchedDocument> {
  const first = await downloadAll(url, maxBytes, context);
  try {
    return await accept(first, context);
  } catch (error) {
    if (!(error instanceof SourceError || error instanceof TrustError)) throw error;
  }
  const past = { ...context, bypassCaches: true };
  return await accept(await downloadAll(url, maxBytes, past), past);
}

/** A document and, where its form has one, its detached signature. */
type Downloads = readonly [Download, Download?];

async function downloadAll(url: URL, maxBytes: number, context: DocumentContext): Promise<Downloads> {
  const document = await download(url, maxBytes, context);
  if (context.authentication === undefined || !hasDetachedSignature(url.pathname)) return [document];
  return [document, await downloadSignature(url, context)];
}

async function downloadSignature(url: URL, context: DocumentContext): Promise<Download> {
  try {
    return await download(new URL(`${url.href}.gpg`), LIMITS.signatureBytes, context);
  } catch (cause) {
    if (!(cause instanceof SourceError) || cause.httpStatus !== 404) throw cause;
    const hint = 'use the .sjson of the source; without a signature it needs --no-authentication';
    throw refused(displayUrl(url), 'it is not signed, and there is no .gpg beside it', { cause, hint });
  }
}

/** The cache is replaced only by what has passed every check. */
async function accept(downloads: Downloads, context: DocumentContext): Promise<FetchedDocument> {
  const { authentication, bypassCaches = false, cache } = context;
  const [{ url, document, isUnchanged }, signature] = downloads;
  const sha256 = digestOf(document.bytes);
  const raw = { url, bytes: document.bytes, sha256, detachedSignature: signature?.document.bytes };
  const { payload, signer, isLasting } =
    authentication === undefined
      ? withoutAuthentication(raw)
      : await authenticate(raw, authentication, { isFresh: bypassCaches });
  const content = parseDocument(payload, url);
  if (content.kind === 'index' && document.bytes.length > LIMITS.indexBytes) {
    throw new SourceError(`cannot use ${url}: an index is larger than ${LIMITS.indexBytes} bytes`, { url });
  }
  for (const kept of downloads) {
    if (kept !== undefined && !kept.isFromCache) await cache?.write(kept.url, kept.document);
  }
  const answers = downloads.flatMap((sent) => (sent === undefined ? [] : [answerOf(sent)]));
  return { url, sha256, sizeBytes: document.bytes.length, signer, isUnchanged, answers, isLasting, content };
}
