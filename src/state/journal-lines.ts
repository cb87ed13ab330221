import { crc32 } from 'node:zlib';
import type { JournalIntent, JournalNotes, OpenIntent } from '../core/journal.ts';
import type { Replacement } from '../core/replacement.ts';
import { IntegrityError } from '../errors.ts';
import {
  bytesField,
  checkFormatVersion,
  digestField,
  flatField,
  identityField,
  integerField,
  objectField,
  optionalObjectField,
  optionalStringField,
  parseJsonObject,
  stringField,
  type JsonObject,
} from './json-fields.ts';

const FORMAT_VERSION = 1;
const LINE_FEED = 0x0a;

/** One line of a journal. */
export type JournalEntry =
  | { readonly type: 'format' }
  | { readonly type: 'begin'; readonly id: number; readonly intent: JournalIntent }
  | { readonly type: 'note'; readonly id: number; readonly data: JournalNotes }
  | { readonly type: 'done'; readonly id: number };

/** What the bytes of a journal say. */
export interface JournalContent {
  readonly open: ReadonlyMap<number, OpenIntent>;
  readonly lastId: number;
  /** How many bytes are whole lines; what follows was torn by a crash. */
  readonly wholeBytes: number;
}

/** One line of a journal: checksum, blank, JSON. For example `8f2a01c3 {"type":"done","id":7}`. */
export function encodeLine(entry: JournalEntry): Buffer {
  const json = JSON.stringify(
    entry.type === 'format' ? { ...entry, formatVersion: FORMAT_VERSION } : entry,
    bigintAsText,
  );
  return Buffer.from(`${checksum(Buffer.from(json))} ${json}\n`);
}

/**
 * Replays a journal. What follows the last line feed is the torn end of an append that a crash cut short, and does not
 * count: `begin` returns only when its line is whole and durable.
 *
 * @throws IntegrityError naming file and line when a whole line is damaged; FailureError for a newer format.
 */
export function decodeJournal(bytes: Uint8Array, path: string): JournalContent {
  const open = new Map<number, OpenIntent>();
  let lastId = 0;
  let wholeBytes = 0;
  for (let line = 1; ; line += 1) {
    const end = bytes.indexOf(LINE_FEED, wholeBytes);
    if (end === -1) return { open, lastId, wholeBytes };
    const where = `journal '${path}', line ${line}`;
    const entry = decodeLine(bytes.subarray(wholeBytes, end), where);
    if ((line === 1) !== (entry.type === 'format')) throw new IntegrityError(`${where} is out of place`);
    if (entry.type !== 'format') lastId = Math.max(lastId, entry.id);
    applyEntry(open, entry, where);
    wholeBytes = end + 1;
  }
}

function applyEntry(open: Map<number, OpenIntent>, entry: JournalEntry, where: string): void {
  if (entry.type === 'format') return;
  const { id } = entry;
  const known = open.get(id);
  if ((known === undefined) !== (entry.type === 'begin')) {
    throw new IntegrityError(`${where}: intent ${id} is ${known === undefined ? 'not open' : 'open already'}`);
  }
  if (entry.type === 'begin') open.set(id, { id, intent: entry.intent, notes: {} });
  else if (entry.type === 'done') open.delete(id);
  else if (known !== undefined) open.set(id, { ...known, notes: { ...known.notes, ...entry.data } });
}

function decodeLine(line: Uint8Array, where: string): JournalEntry {
  const json = line.subarray(9);
  const expected = Buffer.from(line.subarray(0, 9)).toString('latin1');
  const found = `${checksum(json)} `;
  if (expected !== found) throw new IntegrityError(`${where} is damaged`, { expected, found });
  const object = parseJsonObject(json, where);
  const type = stringField(object, 'type');
  switch (type) {
    case 'format':
      checkFormatVersion(object, FORMAT_VERSION);
      return { type };
    case 'begin':
      return { type, id: integerField(object, 'id'), intent: decodeIntent(objectField(object, 'intent')) };
    case 'note':
      return { type, id: integerField(object, 'id'), data: flatField(object, 'data') };
    case 'done':
      return { type, id: integerField(object, 'id') };
    default:
      throw new IntegrityError(`${where}: '${type}' is not an entry`);
  }
}

function decodeIntent(object: JsonObject): JournalIntent {
  const kind = stringField(object, 'kind');
  switch (kind) {
    case 'fetch':
      return {
        kind,
        volumeName: stringField(object, 'volumeName'),
        identity: identityField(object, 'identity'),
        url: stringField(object, 'url'),
        sizeBytes: bytesField(object, 'sizeBytes'),
        digest: digestField(object, 'digest'),
      };
    case 'publish':
    case 'retire':
      return { kind, identity: identityField(object, 'identity') };
    case 'create':
      return { kind, volumeName: stringField(object, 'volumeName'), identity: identityField(object, 'identity') };
    case 'delete':
      return { kind, volumeName: stringField(object, 'volumeName'), volumeKey: stringField(object, 'volumeKey') };
    case 'replace':
      return { kind, ...decodeReplacement(object) };
    default:
      throw new IntegrityError(`${object.where}: '${kind}' is not an intent`);
  }
}

function decodeReplacement(object: JsonObject): Replacement {
  const content = stringField(object, 'content');
  if (content !== 'overlay' && content !== 'copy')
    throw new IntegrityError(`${object.where}: '${content}' is not a content`);
  const permissions = optionalObjectField(object, 'permissions');
  return {
    volumeName: stringField(object, 'volumeName'),
    sourceName: stringField(object, 'sourceName'),
    content,
    virtualSizeBytes: bytesField(object, 'virtualSizeBytes'),
    ...before(optionalStringField(object, 'before')),
    permissions: permissions && {
      mode: stringField(permissions, 'mode'),
      owner: integerField(permissions, 'owner'),
      group: integerField(permissions, 'group'),
    },
  };
}

function before(identity: string | undefined): Pick<Replacement, 'before'> {
  return identity === undefined ? {} : { before: identity };
}

function checksum(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, '0');
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
