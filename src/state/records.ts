import { join } from 'node:path';
import { decodeMetadataName, encodeMetadataName, type Identity } from '../core/identity.ts';
import { IMAGE_STATUSES, type ImageStatus } from '../core/lifecycle.ts';
import {
  type Digest,
  IMAGE_TYPES,
  type ImageRecord,
  type ImageTraits,
  type Pin,
  type Provenance,
  type RecordTimes,
} from '../core/record.ts';
import { IntegrityError, PoolkeeperError } from '../errors.ts';
import { readFileBounded, removeFileDurably, writeFileAtomic } from './atomic-file.ts';
import {
  booleanField,
  checkFormatVersion,
  flatField,
  identityField,
  integerField,
  objectField,
  optionalBooleanField,
  optionalBytesField,
  optionalDigestField,
  optionalIntegerField,
  optionalObjectField,
  optionalStringField,
  parseJsonObject,
  stringField,
  type JsonObject,
} from './json-fields.ts';
import { attempt, isJsonName, listDirectory, type UnreadableFile } from './listing.ts';

const FORMAT_VERSION = 1;
const MAX_BYTES = 1024 * 1024;
const FILE_MODE = 0o640;
const SUFFIX = '.json';

/** Every record of a pool. */
export interface Records {
  /** By volume name. */
  readonly records: ReadonlyMap<string, ImageRecord>;
  /** `IntegrityError` means damaged; all else (a newer format, no permission) must stay where it is. */
  readonly unreadable: readonly UnreadableFile[];
}

/**
 * Reads every record in a directory; one that is not there has none. A file that cannot be used is named, and does not
 * keep the others from being read.
 *
 * @throws FailureError when the directory cannot be listed.
 */
export async function readRecords(dir: string): Promise<Records> {
  const records = new Map<string, ImageRecord>();
  const unreadable: UnreadableFile[] = [];
  for (const { name } of await listDirectory(dir)) {
    if (!isJsonName(name)) continue;
    const record = await attempt(() => readRecord(dir, name));
    if (record instanceof PoolkeeperError) unreadable.push({ name, error: record });
    else if (record !== undefined && records.has(record.volumeName))
      unreadable.push({ name, error: claimedTwice(record) });
    else if (record !== undefined) records.set(record.volumeName, record);
  }
  return { records, unreadable };
}

/**
 * Writes one record in place of the last about the same identity. Whether the status may move so is not checked here.
 *
 * @throws NoSpaceError, FailureError; the last record is then still there.
 */
export async function writeRecord(dir: string, record: ImageRecord): Promise<void> {
  const text = JSON.stringify(encodeRecord(record), undefined, 2);
  await writeFileAtomic(join(dir, recordName(record.identity)), Buffer.from(`${text}\n`), { mode: FILE_MODE });
}

/** Forgets an image for good. One without a record is left as it is. */
export async function removeRecord(dir: string, identity: Identity): Promise<void> {
  await removeFileDurably(join(dir, recordName(identity)));
}

function recordName(identity: Identity): string {
  return encodeMetadataName(identity) + SUFFIX;
}

function encodeRecord(record: ImageRecord): object {
  const { provenance } = record;
  return {
    formatVersion: FORMAT_VERSION,
    ...record,
    provenance: { ...provenance, sizeBytes: provenance.sizeBytes?.toString() },
  };
}

async function readRecord(dir: string, name: string): Promise<ImageRecord | undefined> {
  const path = join(dir, name);
  const file = await readFileBounded(path, MAX_BYTES);
  if (file === undefined) return undefined;
  const record = decodeRecord(parseJsonObject(file.bytes, `record '${path}'`));
  const named = decodeMetadataName(name.slice(0, -SUFFIX.length));
  if (named?.product === record.identity.product && named.version === record.identity.version) return record;
  throw new IntegrityError(`record '${path}' describes another image than its name`);
}

function decodeRecord(object: JsonObject): ImageRecord {
  checkFormatVersion(object, FORMAT_VERSION);
  return {
    volumeName: stringField(object, 'volumeName'),
    identity: identityField(object, 'identity'),
    status: statusField(object),
    reason: optionalStringField(object, 'reason'),
    provenance: decodeProvenance(objectField(object, 'provenance')),
    tags: flatField(object, 'tags'),
    times: decodeTimes(objectField(object, 'times')),
    ...decodePin(optionalObjectField(object, 'pin')),
    ...decodeTraits(optionalObjectField(object, 'traits')),
    ...decodeRetirement(optionalStringField(object, 'retiredBy')),
    ...decodeVerdict(optionalStringField(object, 'judged')),
    ...(optionalBooleanField(object, 'isNamed') === true && { isNamed: true }),
  };
}

function statusField(object: JsonObject): ImageStatus {
  const text = stringField(object, 'status');
  const status = IMAGE_STATUSES.find((known) => known === text);
  if (status === undefined) throw new IntegrityError(`${object.where}: '${text}' is not a status`);
  return status;
}

function decodeProvenance(object: JsonObject): Provenance {
  return {
    source: optionalStringField(object, 'source'),
    itemPath: optionalStringField(object, 'itemPath'),
    sizeBytes: optionalBytesField(object, 'sizeBytes'),
    digest: optionalDigestField(object, 'digest'),
    ...decodeDelivered(optionalDigestField(object, 'deliveredDigest')),
    signer: optionalStringField(object, 'signer'),
    broughtBy: stringField(object, 'broughtBy'),
  };
}

function decodeDelivered(deliveredDigest: Digest | undefined): Pick<Provenance, 'deliveredDigest'> {
  return deliveredDigest === undefined ? {} : { deliveredDigest };
}

function decodeTimes(object: JsonObject): RecordTimes {
  return {
    createdAt: integerField(object, 'createdAt'),
    statusSince: integerField(object, 'statusSince'),
    lastNeededAt: integerField(object, 'lastNeededAt'),
  };
}

function decodePin(object: JsonObject | undefined): { readonly pin?: Pin } {
  if (object === undefined) return {};
  const reason = optionalStringField(object, 'reason');
  return { pin: { reason, since: integerField(object, 'since'), until: optionalIntegerField(object, 'until') } };
}

function decodeTraits(object: JsonObject | undefined): { readonly traits?: ImageTraits } {
  if (object === undefined) return {};
  const text = stringField(object, 'type');
  const type = IMAGE_TYPES.find((known) => known === text);
  if (type === undefined) throw new IntegrityError(`${object.where}: '${text}' is not a type of image`);
  return {
    traits: {
      type,
      isPersistent: booleanField(object, 'isPersistent'),
      displayName: optionalStringField(object, 'displayName'),
      snapshotOf: optionalStringField(object, 'snapshotOf'),
    },
  };
}

function decodeRetirement(retiredBy: string | undefined): Pick<ImageRecord, 'retiredBy'> {
  return retiredBy === undefined ? {} : { retiredBy };
}

function decodeVerdict(judged: string | undefined): Pick<ImageRecord, 'judged'> {
  return judged === undefined ? {} : { judged };
}

function claimedTwice({ volumeName }: ImageRecord): IntegrityError {
  return new IntegrityError(`two records claim volume '${volumeName}'`);
}
