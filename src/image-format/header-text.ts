import { beginsInsideFile } from '../core/backing-json.ts';
import { decodeBackingString } from '../core/backing-string.ts';
import type { Findings } from './image.ts';

/** A name as it stands in a header. */
export interface HeaderName {
  /** Bytes that are not UTF-8 are replaced by U+FFFD; `isExact` is then false. */
  readonly text: string;
  readonly isExact: boolean;
  /** Where it stands, in bytes from the start of the image. */
  readonly offset: number;
}

const UTF_8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Reads a name that ends at the first NUL or at the end of `bytes`, as C programs do. */
export function decodeName(bytes: Uint8Array, offset: number): HeaderName {
  const end = bytes.indexOf(0);
  const { text, isExact } = decodeUtf8(end < 0 ? bytes : bytes.subarray(0, end));
  return { text, isExact, offset };
}

/** Decodes UTF-8, and says whether the text stands for exactly these bytes. */
export function decodeUtf8(bytes: Uint8Array): { text: string; isExact: boolean } {
  const text = UTF_8.decode(bytes);
  return { text, isExact: Buffer.from(text, 'utf8').equals(bytes) };
}

/** The references that a name stands for. A name that cannot be decoded leaves the image undecided. */
export function findingsOfName(name: HeaderName, directory: string | undefined, field: string): Findings {
  const references = decodeBackingString(name.text, directory, `${field} at offset ${name.offset}`);
  if (references.length === 0) return { undecided: `the ${field} is empty` };
  if (!name.isExact) return { references, undecided: `the ${field} '${name.text}' is not UTF-8` };
  const isInside = beginsInsideFile(name.text);
  return { references, undecided: isInside ? `the ${field} leads to an image inside a file` : undefined };
}

/** Both findings together; the first reason counts. */
export function mergeFindings(first: Findings, second: Findings): Findings {
  return {
    references: [...(first.references ?? []), ...(second.references ?? [])],
    undecided: first.undecided ?? second.undecided,
  };
}

/** A view on bytes for reading numbers. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
