import { filterHint } from '../core/filter.ts';
import type { Fetcher } from '../core/ports.ts';
import { findRollbacks, type Rollback } from '../core/rollback.ts';
import { debianArchitecture, productsOf, selectNewest, type Selection, syncFilters } from '../core/selection.ts';
import { IntegrityError, NoMatchError, NoSpaceError, TrustError } from '../errors.ts';
import { digestOf } from '../simplestreams/authenticate.ts';
import { fetchStream, type StreamSummary } from '../simplestreams/fetch-stream.ts';
import { type Keyring, openKeyring, PINNED_KEYS } from '../simplestreams/keyring.ts';
import { resolveSource, type SourceLocation } from '../simplestreams/source.ts';
import { readFileBounded } from '../state/atomic-file.ts';
import { type DiskDocumentCache, openDocumentCache } from '../state/document-cache.ts';
import { readSourceMemory, writeSourceMemory } from '../state/source-memory.ts';
import { cacheDirOf, keyringPathOf, rejectKeyring, type Session } from './session.ts';
import type { CommonArguments } from './options.ts';
import { assertFresh } from './document-age.ts';
import { timedExpression } from './timed-expression.ts';
import { readUnlessKnown, type SourceRequest } from './known-source.ts';

export interface SourceArguments extends CommonArguments {
  readonly source: string;
  readonly path: string | undefined;
  readonly keyring: string | undefined;
  readonly noAuthentication: boolean;
  readonly allowRollback: boolean;
  readonly maxDocumentAge: string | undefined;
  readonly filters: readonly string[] | undefined;
}

/** What a source offers to this run. */
export interface ReadSource {
  readonly location: SourceLocation;
  readonly stream: StreamSummary;
  readonly selection: Selection;
}

/** A keyring that was not looked into yet. */
interface KeyringFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** As in `Keyring`. */
  readonly pinned: readonly string[];
}

/** The source of those who name none: Ubuntu's releases. */
export const DEFAULT_SOURCE = 'https://cloud-images.ubuntu.com/releases/';

/** Where Debian and Ubuntu install the keys of Ubuntu's images. */
export const UBUNTU_KEYRING = '/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg';
const MAX_KEYRING_BYTES = 16 * 1024 * 1024;

/**
 * Fetches, authenticates and filters what a source offers; on demand past every cache on the way.
 *
 * @throws NoMatchError when nothing matches; TrustError for a document that is older than the last accepted one.
 */
export async function readSource(
  session: Session,
  options: SourceArguments,
  fetcher: Fetcher,
  { bypassCaches = false }: { readonly bypassCaches?: boolean } = {},
): Promise<ReadSource> {
  const { context, reporter } = session;
  const location = resolveSource(options.source, options.path, context.cwd);
  const texts = options.filters ?? [];
  const architecture = texts.length > 0 ? '' : debianArchitecture(context.architecture);
  const filters = syncFilters(texts, architecture, timedExpression);
  const keyring = options.noAuthentication ? undefined : await findKeyring(session, options);
  const cache = await openCache(session, options);
  const request: SourceRequest = {
    location,
    keyring: keyring && { sha256: digestOf(keyring.bytes), pinned: keyring.pinned },
    choice: [session.pool.type, ...filters.map(({ text }) => text)],
    version: context.version,
  };
  const transport = { fetcher, cache, bypassCaches, signal: context.signal };
  const { stream, selection } = await readUnlessKnown(request, transport, async (held) => {
    const fetched = await fetchStream(location, {
      ...transport,
      fetcher: held,
      authentication: options.noAuthentication ? 'none' : 'signed',
      keyring: keyring && (await openNamed(keyring)),
      clock: context.clock,
    });
    return { stream: fetched, selection: selectNewest(fetched.items(), filters, session.pool.type) };
  });
  for (const warning of stream.warnings) reporter.warning(warning);
  if (!options.allowRollback) await assertNotRolledBack(session, stream);
  assertFresh(stream, options.maxDocumentAge, session);
  if (selection.wanted.length + selection.refused.length === 0)
    throw nothingMatches(
      stream,
      filters.map(({ text }) => text),
    );
  return { location, stream, selection };
}

function openCache({ context, reporter }: Session, options: SourceArguments): Promise<DiskDocumentCache> {
  return openDocumentCache({
    dir: cacheDirOf(context, options),
    uid: context.uid,
    clock: context.clock,
    onProblem: (error) => reporter.warning(error.message, error.hint),
  });
}

/**
 * Remembers how new the documents are, so that older ones are refused from now on.
 *
 * @returns why it could not be written on a full disk, which is no reason not to make room.
 */
export async function rememberSource(session: Session, source: ReadSource): Promise<NoSpaceError | undefined> {
  try {
    await writeMemory(session, source);
    return undefined;
  } catch (error) {
    if (error instanceof NoSpaceError) return error;
    throw error;
  }
}

async function writeMemory({ paths, context }: Session, { stream, location, selection }: ReadSource): Promise<void> {
  const dated = stream.documents.flatMap(({ url, updatedAtMs, sha256 }) =>
    updatedAtMs === undefined ? [] : [[url, { updatedAtMs, sha256 }] as const],
  );
  const known = await readSourceMemory(paths.sources, location.display);
  await writeSourceMemory(paths.sources, {
    url: location.display,
    documents: { ...known?.documents, ...Object.fromEntries(dated) },
    products: [...productsOf(selection)],
    acceptedAtMs: context.clock.now(),
  });
}

/** The keyring that was named; else Ubuntu's, whose key is pinned; else the keys that the administrator added. */
async function findKeyring(session: Session, options: SourceArguments): Promise<KeyringFile | undefined> {
  if (options.keyring !== undefined) return named(options.keyring);
  const own = await readIfThere(keyringPathOf(session.context, options));
  return own ?? readIfThere(UBUNTU_KEYRING, [PINNED_KEYS.ubuntu]);
}

async function named(path: string): Promise<KeyringFile> {
  const keyring = await readIfThere(path);
  if (keyring !== undefined) return keyring;
  throw new TrustError(`keyring '${path}' does not exist`, {
    hint: `give an existing file, or add keys with 'poolkeeper keyring add'`,
  });
}

async function readIfThere(path: string, pinned: readonly string[] = []): Promise<KeyringFile | undefined> {
  const file = await readFileBounded(path, MAX_KEYRING_BYTES);
  return file && { path, bytes: file.bytes, pinned };
}

function openNamed({ path, bytes, pinned }: KeyringFile): Promise<Keyring> {
  return openKeyring(bytes, { pinned }).catch(rejectKeyring(path));
}

/** @throws TrustError when a document went back in time, or when every image is gone that was offered before. */
async function assertNotRolledBack({ paths, reporter }: Session, stream: StreamSummary): Promise<void> {
  const memory = await readSourceMemory(paths.sources, stream.location.display).catch((error: unknown) => {
    if (!(error instanceof IntegrityError)) throw error;
    throw new IntegrityError(error.message, {
      cause: error,
      hint: 'with --allow-rollback the source is accepted as it is now',
    });
  });
  const accepted = Object.entries(memory?.documents ?? {}).map(([url, { updatedAtMs }]) => [url, updatedAtMs] as const);
  const [rollback] = findRollbacks(stream.documents, new Map(accepted));
  if (rollback !== undefined) {
    reporter.event('detail', `${rollback.url} went back in time`, 'rollback', { ...rollback });
    throw rolledBack(rollbackText(rollback));
  }
  const known = memory?.products.length ?? 0;
  if (stream.isEmpty && known > 0)
    throw rolledBack(`${stream.location.display} offers no image at all, but ${known} product(s) were accepted before`);
}

function rollbackText({ url, offeredAtMs, acceptedAtMs }: Rollback): string {
  const offered = offeredAtMs === undefined ? 'has no date' : `is of ${new Date(offeredAtMs).toISOString()}`;
  return `${url} ${offered}, but one of ${new Date(acceptedAtMs).toISOString()} was accepted before`;
}

function rolledBack(message: string): TrustError {
  return new TrustError(message, {
    hint: 'a stale mirror or a replay of old data; if the publisher really went back, run once with --allow-rollback',
  });
}

function nothingMatches({ location, isEmpty }: StreamSummary, filters: readonly string[]): NoMatchError {
  if (isEmpty)
    return new NoMatchError(`${location.display} offers no image at all`, {
      hint: 'everything stays as it is; check the address, or ask the publisher',
    });
  const hints = filters.flatMap((text) => filterHint(text) ?? []);
  return new NoMatchError(`no image of ${location.display} matches ${filters.join(' ')}`, {
    hint: hints.length > 0 ? hints.join('; ') : `try fewer filters, such as release=noble arch=amd64`,
  });
}
