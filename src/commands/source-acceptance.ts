import { findRollbacks, type Rollback } from '../core/rollback.ts';
import { listedProducts, productsOf } from '../core/selection.ts';
import { IntegrityError, NoSpaceError, TrustError } from '../errors.ts';
import type { StreamSummary } from '../simplestreams/fetch-stream.ts';
import { readSourceMemory, writeSourceMemory } from '../state/source-memory.ts';
import type { ReadSource, SourceReader } from './source-reader.ts';
import type { Session } from './session.ts';

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

async function writeMemory({ paths, context }: Session, source: ReadSource): Promise<void> {
  const { stream, location, selection, chosen, listed } = source;
  const dated = stream.documents.flatMap(({ url, updatedAtMs, sha256 }) =>
    updatedAtMs === undefined ? [] : [[url, { updatedAtMs, sha256 }] as const],
  );
  const known = await readSourceMemory(paths.sources, location.display);
  await writeSourceMemory(paths.sources, {
    url: location.display,
    documents: { ...known?.documents, ...Object.fromEntries(dated) },
    products: [...new Set([...(chosen.isNarrowed ? (known?.products ?? []) : []), ...productsOf(selection)])],
    listed: listedProducts([...listed, ...(known?.listed ?? [])].map((product) => ({ product }))),
    acceptedAtMs: context.clock.now(),
  });
}

/** @throws TrustError when a document went back in time, or when every image is gone that was offered before. */
export async function assertNotRolledBack({ memoryDir, reporter }: SourceReader, stream: StreamSummary): Promise<void> {
  if (memoryDir === undefined) return;
  const memory = await readSourceMemory(memoryDir, stream.location.display).catch((error: unknown) => {
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
