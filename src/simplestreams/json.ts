import { SourceError } from '../errors.ts';
import { LIMITS } from './limits.ts';

/** Any JSON object. A member may be called `__proto__` or `constructor`: look members up with `Object.hasOwn` or entries. */
export type JsonObject = Readonly<Record<string, unknown>>;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const UTF8_BYTE_ORDER_MARK: ReadonlySet<number> = new Set([0xef, 0xbb, 0xbf]);
const LESS_THAN = 0x3c;
const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * Parses a document's bytes, after a scan has made sure that depth, number of values and length of strings are such
 * that neither the parser nor a walk through the result can be made to exhaust this process.
 *
 * @throws SourceError that names the document.
 */
export function parseBoundedJson(bytes: Uint8Array, document: string): unknown {
  assertBounded(bytes, document);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SourceError(`cannot use ${document}: it is not valid JSON`, { cause, url: document });
  }
}

/** Whether the first byte that is no white space opens a tag: what captive portals, proxies and login pages answer with. */
export function looksLikeHtml(bytes: Uint8Array): boolean {
  return bytes.find((byte) => byte > 0x20 && !UTF8_BYTE_ORDER_MARK.has(byte)) === LESS_THAN;
}

/** The value as an object; what it should have been is named by its JSON path in the SourceError. */
export function requireObject(value: unknown, document: string, ...path: readonly string[]): JsonObject {
  if (isObject(value)) return value;
  throw malformed(document, path, 'must be an object');
}

/** The string at that place, `undefined` when there is none; anything else is a SourceError that names its JSON path. */
export function optionalString(value: unknown, document: string, ...path: readonly string[]): string | undefined {
  if (value === undefined || value === null || typeof value === 'string') return value ?? undefined;
  throw malformed(document, path, 'must be a string');
}

/** A SourceError about one place in a document. */
export function malformed(document: string, path: readonly string[], complaint: string): SourceError {
  return new SourceError(`cannot use ${document}: ${jsonPath(path)} ${complaint}`, { url: document });
}

/** Whether a JSON value is an object, not an array and not null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function jsonPath(path: readonly string[]): string {
  return `$${path.map((key) => `[${JSON.stringify(key)}]`).join('')}`;
}

function assertBounded(bytes: Uint8Array, document: string): void {
  let depth = 0;
  let values = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i];
    if (byte === QUOTE) i = endOfString(bytes, i, document);
    else if (byte === COMMA) values += 1;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      values += 1;
      depth += 1;
      if (depth > LIMITS.jsonDepth) throw excessive(document, 'is nested too deeply');
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth -= 1;
  }
  if (values > LIMITS.jsonValues) throw excessive(document, 'holds too many values');
}

function endOfString(bytes: Uint8Array, start: number, document: string): number {
  let i = start + 1;
  while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  if (i - start > LIMITS.jsonStringBytes) throw excessive(document, 'holds a string that is too long');
  return i;
}

function excessive(document: string, complaint: string): SourceError {
  return new SourceError(`cannot use ${document}: it ${complaint}`, { url: document });
}
