import type { FlatItem } from '../core/filter.ts';
import type { Identity } from '../core/identity.ts';
import type { Digest } from '../core/record.ts';
import { FailureError, IntegrityError } from '../errors.ts';

const DIGEST_LENGTHS = { sha512: 128, sha256: 64, md5: 32 } as const;

/** A JSON object from disk that was not looked into yet. `where` names it in errors. */
export interface JsonObject {
  readonly where: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Reads the text of one JSON object. @throws IntegrityError when it is not UTF-8, not JSON or not an object. */
export function parseJsonObject(bytes: Uint8Array, where: string): JsonObject {
  return toObject(parseJson(bytes, where), where);
}

/**
 * Refuses what a newer poolkeeper wrote.
 *
 * @throws FailureError for a newer format, which is not damaged and must stay where it is; IntegrityError for none.
 */
export function checkFormatVersion(object: JsonObject, supported: number): void {
  const version = integerField(object, 'formatVersion');
  if (version <= supported) return;
  throw new FailureError(`${object.where} was written by a newer poolkeeper (format ${version})`, {
    hint: 'upgrade poolkeeper on this host',
  });
}

/** A text. @throws IntegrityError naming the field, as all readers here do when it is missing or something else. */
export function stringField(object: JsonObject, name: string): string {
  const value = field(object, name);
  return typeof value === 'string' ? value : refuse(object, name, 'a string');
}

/** A text, or `undefined` where the field is missing. */
export function optionalStringField(object: JsonObject, name: string): string | undefined {
  return field(object, name) === undefined ? undefined : stringField(object, name);
}

/** A truth value. */
export function booleanField(object: JsonObject, name: string): boolean {
  const value = field(object, name);
  return typeof value === 'boolean' ? value : refuse(object, name, 'a truth value');
}

/** True or false; `undefined` when there is no such field. */
export function optionalBooleanField(object: JsonObject, name: string): boolean | undefined {
  return Object.hasOwn(object.fields, name) ? booleanField(object, name) : undefined;
}

/** Any whole number, exact. */
export function numberField(object: JsonObject, name: string): number {
  const value = field(object, name);
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : refuse(object, name, 'a whole number');
}

/** A whole number from 0 up, exact. */
export function integerField(object: JsonObject, name: string): number {
  const value = field(object, name);
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : refuse(object, name, 'a whole number');
}

/** A whole number, or `undefined` where the field is missing. */
export function optionalIntegerField(object: JsonObject, name: string): number | undefined {
  return field(object, name) === undefined ? undefined : integerField(object, name);
}

/** A number of bytes, written as decimal string because JSON's numbers are not exact. */
export function bytesField(object: JsonObject, name: string): bigint {
  const value = stringField(object, name);
  return /^(?:0|[1-9]\d{0,18})$/.test(value) ? BigInt(value) : refuse(object, name, 'a number of bytes');
}

/** A number of bytes, or `undefined` where the field is missing. */
export function optionalBytesField(object: JsonObject, name: string): bigint | undefined {
  return field(object, name) === undefined ? undefined : bytesField(object, name);
}

/** An object inside the object. */
export function objectField(object: JsonObject, name: string): JsonObject {
  return toObject(field(object, name), `${object.where}: field '${name}'`);
}

/** An object inside the object, or `undefined` where the field is missing. */
export function optionalObjectField(object: JsonObject, name: string): JsonObject | undefined {
  return field(object, name) === undefined ? undefined : objectField(object, name);
}

/** A list of texts. */
export function stringListField(object: JsonObject, name: string): readonly string[] {
  const value = field(object, name);
  return Array.isArray(value) && value.every(isString) ? value : refuse(object, name, 'a list of strings');
}

/** A list of texts; `undefined` when there is no such field. */
export function optionalStringListField(object: JsonObject, name: string): readonly string[] | undefined {
  return Object.hasOwn(object.fields, name) ? stringListField(object, name) : undefined;
}

/** A list of objects. */
export function objectListField(object: JsonObject, name: string): readonly JsonObject[] {
  const value = field(object, name);
  if (!Array.isArray(value)) return refuse(object, name, 'a list');
  return value.map((each, index) => toObject(each, `${object.where}: field '${name}', entry ${index + 1}`));
}

/** An object of texts. */
export function flatField(object: JsonObject, name: string): FlatItem {
  return toFlatItem(objectField(object, name));
}

/** An identity, as an object of product and version. Whether it makes a name is not checked. */
export function identityField(object: JsonObject, name: string): Identity {
  const identity = objectField(object, name);
  return { product: stringField(identity, 'product'), version: stringField(identity, 'version') };
}

/** A checksum of a known algorithm, with the length it must have. */
export function digestField(object: JsonObject, name: string): Digest {
  const digest = objectField(object, name);
  const algorithm = stringField(digest, 'algorithm');
  const hex = stringField(digest, 'hex');
  if (!isDigestAlgorithm(algorithm) || hex.length !== DIGEST_LENGTHS[algorithm] || !/^[0-9a-f]+$/.test(hex)) {
    return refuse(object, name, 'a digest');
  }
  return { algorithm, hex };
}

/** A checksum, or `undefined` where the field is missing. */
export function optionalDigestField(object: JsonObject, name: string): Digest | undefined {
  return field(object, name) === undefined ? undefined : digestField(object, name);
}

/** The object itself, when all of its values are strings. */
export function toFlatItem({ where, fields }: JsonObject): FlatItem {
  return isFlat(fields) ? fields : refuseWhole(where, 'a flat object of strings');
}

function field({ fields }: JsonObject, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

function toObject(value: unknown, where: string): JsonObject {
  return isObject(value) ? { where, fields: value } : refuseWhole(where, 'a JSON object');
}

function parseJson(bytes: Uint8Array, where: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new IntegrityError(`${where} is not JSON`, { cause });
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFlat(fields: Readonly<Record<string, unknown>>): fields is FlatItem {
  return Object.values(fields).every(isString);
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isDigestAlgorithm(text: string): text is keyof typeof DIGEST_LENGTHS {
  return Object.hasOwn(DIGEST_LENGTHS, text);
}

function refuse({ where }: JsonObject, name: string, expected: string): never {
  throw new IntegrityError(`${where}: field '${name}' is not ${expected}`);
}

function refuseWhole(where: string, expected: string): never {
  throw new IntegrityError(`${where} is not ${expected}`);
}
