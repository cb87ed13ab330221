import { TrustError } from '../errors.ts';
import { LIMITS } from './limits.ts';

const MESSAGE = '-----BEGIN PGP SIGNED MESSAGE-----';
const SIGNATURE = '-----BEGIN PGP SIGNATURE-----';
const END = '-----END PGP SIGNATURE-----';
const HASH_HEADER = /^Hash: [A-Za-z0-9, -]+$/;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** The parts of a clear-signed document (RFC 9580, section 7), as ranges of its bytes. */
export interface ClearSigned {
  /** The signed text, still with dash escapes. */
  readonly body: Uint8Array;
  /** The armored signature. */
  readonly signature: Uint8Array;
}

/** Whether a document begins the way a clear-signed one does. */
export function isClearSigned(bytes: Uint8Array): boolean {
  return view(bytes).toString('latin1', 0, MESSAGE.length) === MESSAGE;
}

/**
 * Takes a clear-signed document apart, and refuses every liberty that makes two programs read two texts: text before
 * or after, more than one message, armor headers other than `Hash`, lines that begin with an unescaped dash.
 *
 * @throws TrustError with one message per liberty; `document` names the document in it.
 */
export function splitClearSigned(bytes: Uint8Array, document: string): ClearSigned {
  const text = view(bytes);
  if (!isClearSigned(bytes)) {
    throw refused(document, text.includes(`\n${MESSAGE}`) ? 'text precedes the signed message' : 'it is not signed');
  }
  const lines = linesOf(text);
  readHeaders(lines, document);
  const body = readUntil(SIGNATURE, lines, document);
  const end = readUntil(END, lines, document);
  const rest = text.toString('latin1', end.next);
  if (rest.includes(MESSAGE)) throw refused(document, 'it holds more than one signed message');
  if (rest.trim() !== '') throw refused(document, 'text follows the signature');
  return { body: bytes.subarray(body.first, body.start), signature: bytes.subarray(body.start, end.next) };
}

/** The text of a clear-signed document, without any check of its signature: only for sources that need none. */
export function unwrapClearSigned(bytes: Uint8Array, document: string): Uint8Array {
  const { body } = splitClearSigned(bytes, document);
  return Buffer.from(view(body).toString('latin1').replaceAll(/^- /gm, ''), 'latin1');
}

/**
 * Refuses lines and control characters on which signature programs disagree. gpg 2.2 hashes only the first 20,000 or
 * so bytes of a line, so that text behind 20,000 blanks passes as signed (gpg.fail, 2025).
 */
export function assertPlainLines(bytes: Uint8Array, document: string): void {
  let lineStart = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i] ?? 0;
    if (byte === NEWLINE) lineStart = i + 1;
    else if (byte < 0x20 || byte === 0x7f) assertPlainControl(bytes, i, document);
    if (i - lineStart >= LIMITS.signedLineBytes) throw refused(document, 'it has a line of more than 16 KiB');
  }
}

/** A TrustError about one document. */
export function refused(
  document: string,
  reason: string,
  details: { cause?: unknown; hint?: string } = {},
): TrustError {
  return new TrustError(`cannot trust ${document}: ${reason}`, details);
}

interface Line {
  /** Where the line starts, and where the next one does. */
  readonly start: number;
  readonly next: number;
  /** The first 128 bytes, without the line's end: markers and headers are shorter. */
  readonly text: string;
}

function* linesOf(bytes: Buffer): Generator<Line, undefined> {
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, start);
    const next = newline === -1 ? bytes.length : newline + 1;
    const text = bytes.toString('latin1', start, Math.min(next, start + 128)).replace(/\r?\n$/, '');
    yield { start, next, text };
    start = next;
  }
}

function readHeaders(lines: Generator<Line, undefined>, document: string): void {
  if (lines.next().value?.text.trimEnd() !== MESSAGE) throw refused(document, 'it is not signed');
  for (;;) {
    const line = lines.next().value;
    if (line === undefined) throw refused(document, 'it is cut off');
    if (line.text === '') return;
    if (!HASH_HEADER.test(line.text)) throw refused(document, 'it has an armor header that is not allowed');
  }
}

/** Reads up to the line that is `marker`; `first` is where the first line read began. */
function readUntil(
  marker: string,
  lines: Generator<Line, undefined>,
  document: string,
): Line & { readonly first: number } {
  let first: number | undefined;
  for (;;) {
    const line = lines.next().value;
    if (line === undefined) throw refused(document, 'it is cut off');
    first ??= line.start;
    if (line.text.trimEnd() === marker) return { ...line, first };
    if (line.text.trimEnd() === MESSAGE) throw refused(document, 'it holds more than one signed message');
    if (line.text.startsWith('-') && !line.text.startsWith('- ')) {
      throw refused(document, 'a line begins with a dash that is not escaped');
    }
  }
}

function assertPlainControl(bytes: Uint8Array, at: number, document: string): void {
  const isLineEnd = bytes[at] === RETURN && bytes[at + 1] === NEWLINE;
  if (!isLineEnd && bytes[at] !== 0x09) throw refused(document, 'it holds control characters');
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
