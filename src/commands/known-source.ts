import type { Fetcher } from '../core/ports.ts';
import type { Selection } from '../core/selection.ts';
import { holdResponses } from '../simplestreams/held-responses.ts';
import { isSameStream, type Stream, type StreamSummary } from '../simplestreams/fetch-stream.ts';
import { POLICY_VERSION } from '../simplestreams/openpgp.ts';
import type { DownloadContext } from '../simplestreams/download.ts';
import type { SourceLocation } from '../simplestreams/source.ts';
import type { DiskDocumentCache } from '../state/document-cache.ts';
import { decodeSelectionNote, encodeSelectionNote, SELECTION_NOTE_VERSION } from '../state/selection-note.ts';

/** All that decides, beside the documents themselves, what is selected from a source. */
export interface SourceRequest {
  readonly location: SourceLocation;
  /** The keys that may sign. `undefined`: none is needed. */
  readonly keyring: { readonly sha256: string; readonly pinned: readonly string[] } | undefined;
  /** Filters, preferences and whatever else has a say in the choice, as text. */
  readonly choice: readonly string[];
  /** Of this program. */
  readonly version: string;
}

/** What was selected from a source, and from what. */
export interface SelectedStream {
  readonly stream: StreamSummary;
  readonly selection: Selection;
  /** The names of all products, before filters. */
  readonly listed: readonly string[];
}

type Transport = DownloadContext & { readonly cache: DiskDocumentCache };

/**
 * What a source offers, without reading its documents again if it says that none of them has changed.
 *
 * The note of an earlier run lies under a key of everything that decides what comes out: address, keyring bytes, pins and
 * signature policy, filters and pool type, form of the note and version of this program. What the documents said is
 * vouched for by the source itself: every one of them, and every detached signature, has to be answered with 304 (Not
 * Modified) to the validators that it had then (RFC 9110, section 13.1), which is also what a kept document is used upon.
 * The note was written after every check had passed; it lies beside the signature verdicts in a directory that nobody else
 * can write to, under its own digest. Signatures that expire leave no note. Whatever changes with time (age, rollback) is
 * checked by the caller each time, from the dates in the note.
 */
export async function readUnlessKnown(
  request: SourceRequest,
  transport: Transport,
  read: (fetcher: Fetcher) => Promise<Omit<SelectedStream, 'stream'> & { readonly stream: Stream }>,
): Promise<SelectedStream> {
  const key = keyOf(request);
  using held = holdResponses(transport.fetcher);
  const asking = { ...transport, fetcher: held.asking };
  const known = transport.bypassCaches === true ? undefined : await recall(key, request.location, asking);
  if (known !== undefined) return known;
  const { stream, selection, listed } = await read(held.taking);
  const { answers, documents, warnings } = stream;
  const isUseful = answers.length > 0 && selection.wanted.length > 0;
  if (isUseful)
    await transport.cache.writeNote(key, encodeSelectionNote({ answers, documents, warnings, selection, listed }));
  return { stream, selection, listed };
}

async function recall(
  key: string,
  location: SourceLocation,
  transport: Transport,
): Promise<SelectedStream | undefined> {
  const note = await transport.cache.readNote(key, decodeSelectionNote);
  if (note === undefined || !(await isSameStream(location, note.answers, transport))) return undefined;
  const documents = note.documents.map((document) => ({ ...document, isUnchanged: true }));
  return {
    stream: { location, documents, warnings: note.warnings, isEmpty: false },
    selection: note.selection,
    listed: note.listed,
  };
}

function keyOf({ location, keyring, choice, version }: SourceRequest): string {
  const trust = keyring === undefined ? ['none'] : [`policy ${POLICY_VERSION}`, keyring.sha256, ...keyring.pinned];
  return JSON.stringify(['selection', SELECTION_NOTE_VERSION, version, location.display, location.path, trust, choice]);
}
