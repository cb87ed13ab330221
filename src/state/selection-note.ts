import { isLocalImage } from '../core/local-image.ts';
import type { Selection, RefusedItem, WantedImage } from '../core/selection.ts';
import {
  bytesField,
  digestField,
  flatField,
  identityField,
  type JsonObject,
  objectListField,
  optionalIntegerField,
  optionalStringField,
  stringField,
  stringListField,
} from './json-fields.ts';

/** Raise it whenever the form of a note changes, or what a selection is. */
export const SELECTION_NOTE_VERSION = 2;

/** What the documents of a source came down to, with what tells that they are still the same. */
export interface SelectionNote {
  readonly answers: readonly NotedAnswer[];
  readonly documents: readonly NotedDocument[];
  readonly warnings: readonly string[];
  readonly selection: Selection;
  /** The names of all products, before filters. */
  readonly listed: readonly string[];
}

/** What a server sent along with a document. */
export interface NotedAnswer {
  readonly url: string;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** A document that was read. */
export interface NotedDocument {
  readonly url: string;
  readonly kind: 'index' | 'products';
  readonly contentId: string | undefined;
  readonly updated: string | undefined;
  readonly updatedAtMs: number | undefined;
  readonly sha256: string;
  readonly signer: string | undefined;
}

/** The note as JSON. */
export function encodeSelectionNote({ selection, ...rest }: SelectionNote): object {
  const wanted = selection.wanted.map((image) => ({ ...image, sizeBytes: String(image.sizeBytes) }));
  return { ...rest, wanted, refused: selection.refused };
}

/** @throws IntegrityError when it is not a note. */
export function decodeSelectionNote(note: JsonObject): SelectionNote {
  return {
    answers: objectListField(note, 'answers').map(decodeAnswer),
    documents: objectListField(note, 'documents').map(decodeDocument),
    warnings: stringListField(note, 'warnings'),
    selection: {
      wanted: objectListField(note, 'wanted').map(decodeWanted),
      refused: objectListField(note, 'refused').map(decodeRefused),
    },
    listed: stringListField(note, 'listed'),
  };
}

function decodeAnswer(answer: JsonObject): NotedAnswer {
  return {
    url: stringField(answer, 'url'),
    etag: optionalStringField(answer, 'etag'),
    lastModified: optionalStringField(answer, 'lastModified'),
  };
}

function decodeDocument(document: JsonObject): NotedDocument {
  return {
    url: stringField(document, 'url'),
    kind: stringField(document, 'kind') === 'index' ? 'index' : 'products',
    contentId: optionalStringField(document, 'contentId'),
    updated: optionalStringField(document, 'updated'),
    updatedAtMs: optionalIntegerField(document, 'updatedAtMs'),
    sha256: stringField(document, 'sha256'),
    signer: optionalStringField(document, 'signer'),
  };
}

function decodeWanted(image: JsonObject): WantedImage {
  return {
    identity: identityField(image, 'identity'),
    path: stringField(image, 'path'),
    sizeBytes: bytesField(image, 'sizeBytes'),
    digest: digestField(image, 'digest'),
    tags: flatField(image, 'tags'),
    signer: optionalStringField(image, 'signer'),
  };
}

function decodeRefused(item: JsonObject): RefusedItem {
  const refused = { identity: identityField(item, 'identity'), reason: stringField(item, 'reason') };
  return isLocalImage(refused.identity) ? { ...refused, isReserved: true } : refused;
}
