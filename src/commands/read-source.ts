import { explainNoMatch } from '../core/filter-hints.ts';
import type { Filter, FlatItem } from '../core/filter.ts';
import { listedProducts, type OfferedItem, selectNewest } from '../core/selection.ts';
import { NoMatchError } from '../errors.ts';
import { digestOf } from '../simplestreams/authenticate.ts';
import { fetchStream, type Stream, type StreamSummary } from '../simplestreams/fetch-stream.ts';
import { type DiskDocumentCache, openDocumentCache } from '../state/document-cache.ts';
import type { ChosenSource } from './choose-sources.ts';
import { assertFresh } from './document-age.ts';
import { readUnlessKnown, type SourceRequest } from './known-source.ts';
import { cacheDirOf } from './places.ts';
import { assertNotRolledBack } from './source-acceptance.ts';
import { findKeyring, type KeyringFile, openNamed } from './source-keyring.ts';
import type { ReadSource, SourceReader } from './source-reader.ts';

/**
 * Fetches, authenticates and filters what a source offers; on demand past every cache on the way.
 *
 * @throws NoMatchError when nothing matches; TrustError for a document that is older than the last accepted one.
 */
export async function readSource(
  chosen: ChosenSource,
  reader: SourceReader,
  { bypassCaches = false }: { readonly bypassCaches?: boolean } = {},
): Promise<ReadSource> {
  const { context, poolType, fetcher } = reader;
  const { location, filters, preference } = chosen;
  const keyring = chosen.isSigned ? await findKeyring(chosen, reader) : undefined;
  const cache = await openCache(reader);
  const request: SourceRequest = {
    location,
    keyring: keyring && { sha256: digestOf(keyring.bytes), pinned: keyring.pinned },
    choice: [poolType, ...filters.map(({ text }) => text), ...preference.map((item) => `item ${item}`)],
    version: context.version,
  };
  const transport = { fetcher, cache, bypassCaches, signal: context.signal };
  let items: Iterable<OfferedItem> = [];
  const { stream, selection, listed } = await readUnlessKnown(request, transport, async (held) => {
    const fetched = await fetchOffer(chosen, { ...reader, fetcher: held }, { keyring, cache, bypassCaches });
    items = fetched.items();
    return {
      stream: fetched,
      selection: selectNewest(fetched.items(), filters, poolType, preference),
      listed: listedProducts(fetched.items()),
    };
  });
  await assertAcceptable(stream, chosen, reader);
  if (selection.wanted.length + selection.refused.length === 0) throw nothingMatches(stream, filters, items);
  return { chosen, location, stream, selection, listed };
}

/**
 * Everything that a source offers, authenticated.
 *
 * @throws TrustError for a document that is older than the last accepted one.
 */
export async function readOffer(chosen: ChosenSource, reader: SourceReader): Promise<Stream> {
  const keyring = chosen.isSigned ? await findKeyring(chosen, reader) : undefined;
  const stream = await fetchOffer(chosen, reader, { keyring, cache: await openCache(reader), bypassCaches: false });
  await assertAcceptable(stream, chosen, reader);
  return stream;
}

interface Offer {
  readonly keyring: KeyringFile | undefined;
  readonly cache: DiskDocumentCache;
  readonly bypassCaches: boolean;
}

async function fetchOffer(
  { location, isSigned }: ChosenSource,
  { fetcher, context: { clock, signal } }: SourceReader,
  { keyring, cache, bypassCaches }: Offer,
): Promise<Stream> {
  return fetchStream(location, {
    fetcher,
    cache,
    bypassCaches,
    authentication: isSigned ? 'signed' : 'none',
    keyring: keyring && (await openNamed(keyring)),
    clock,
    signal,
  });
}

async function assertAcceptable(stream: StreamSummary, chosen: ChosenSource, reader: SourceReader): Promise<void> {
  for (const warning of stream.warnings) reader.reporter.warning(warning);
  if (!chosen.allowRollback) await assertNotRolledBack(reader, stream);
  assertFresh(stream, chosen.maxDocumentAge, reader);
}

function openCache({ context, reporter, options }: SourceReader): Promise<DiskDocumentCache> {
  return openDocumentCache({
    dir: cacheDirOf(context, options),
    uid: context.uid,
    clock: context.clock,
    onProblem: (error) => reporter.warning(error.message, error.hint),
  });
}

function nothingMatches(
  { location, isEmpty }: StreamSummary,
  filters: readonly Filter[],
  items: Iterable<OfferedItem>,
): NoMatchError {
  if (isEmpty)
    return new NoMatchError(`${location.display} offers no image at all`, {
      hint: 'everything stays as it is; check the address, or ask the publisher',
    });
  const texts = filters.map(({ text }) => text);
  return new NoMatchError(`no image of ${location.display} matches ${texts.join(' ')}`, {
    hint: explainNoMatch(filters, tagsOf(items)) ?? 'try fewer filters, such as release=noble arch=amd64',
  });
}

function* tagsOf(items: Iterable<OfferedItem>): Generator<FlatItem> {
  for (const { tags } of items) yield tags;
}
