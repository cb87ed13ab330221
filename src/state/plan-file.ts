import { createHash } from 'node:crypto';
import type { GcPlan, PlannedVolume, PlanPlace, PlanStep, Premises } from '../core/gc-plan.ts';
import type { CollectionPolicy, RetentionPolicy } from '../core/retention.ts';
import { FailureError, IntegrityError, PoolkeeperError, UsageError } from '../errors.ts';
import { readFileBounded, writeFileAtomic } from './atomic-file.ts';
import {
  bytesField,
  checkFormatVersion,
  identityField,
  integerField,
  type JsonObject,
  objectField,
  objectListField,
  optionalBytesField,
  optionalIntegerField,
  optionalStringField,
  parseJsonObject,
  stringField,
} from './json-fields.ts';
import { attempt } from './listing.ts';

const KIND = 'poolkeeper gc plan';
const FORMAT_VERSION = 1;
const MAX_BYTES = 64 * 1024 * 1024;
const FILE_MODE = 0o640;

/**
 * Reads a plan back as it was written.
 *
 * @throws IntegrityError when it is damaged or was edited; UsageError when it is no plan; FailureError when it is of a newer
 * format, or cannot be read.
 */
export async function readPlan(path: string): Promise<GcPlan> {
  const file = await readFileBounded(path, MAX_BYTES);
  if (file === undefined) {
    throw new FailureError(`cannot read plan '${path}': there is no such file`, {
      hint: `'poolkeeper gc --out FILE' makes one`,
    });
  }
  const object = parsePlan(file.bytes, path);
  if (!isPlan(object))
    throw new UsageError(`'${path}' is not a plan`, { hint: `'poolkeeper gc --out FILE' makes one` });
  checkFormatVersion(object, FORMAT_VERSION);
  const plan = objectField(object, 'plan');
  const [expected, found] = [
    stringField(object, 'sha256'),
    digestOf(integerField(object, 'formatVersion'), plan.fields),
  ];
  if (expected !== found) {
    throw new IntegrityError(`plan '${path}' was changed after it was made`, {
      expected,
      found,
      hint: 'a plan is carried out as it was made: make another with the policy that you want',
    });
  }
  return decodePlan(plan);
}

function parsePlan(bytes: Uint8Array, path: string): JsonObject {
  try {
    return parseJsonObject(bytes, `plan '${path}'`);
  } catch (cause) {
    if (!(cause instanceof IntegrityError)) throw cause;
    throw new IntegrityError(cause.message, { cause, hint: `'poolkeeper gc --out FILE' makes one` });
  }
}

/**
 * Writes a plan, in place of another if there is one.
 *
 * @throws UsageError when there is something else; NoSpaceError, FailureError.
 */
export async function writePlan(path: string, plan: GcPlan): Promise<void> {
  await assertReplaceable(path);
  const fields: unknown = JSON.parse(JSON.stringify(encodePlan(plan)));
  const object = { kind: KIND, formatVersion: FORMAT_VERSION, sha256: digestOf(FORMAT_VERSION, fields), plan: fields };
  await writeFileAtomic(path, Buffer.from(`${JSON.stringify(object, undefined, 2)}\n`), { mode: FILE_MODE });
}

async function assertReplaceable(path: string): Promise<void> {
  const known = await attempt(async () => {
    const file = await readFileBounded(path, MAX_BYTES);
    return file === undefined || isPlan(parseJsonObject(file.bytes, `'${path}'`));
  });
  if (known === true) return;
  if (known instanceof PoolkeeperError && !(known instanceof IntegrityError)) throw known;
  throw new UsageError(`cannot write a plan to '${path}': what is there is not a plan`, { hint: 'name another file' });
}

function isPlan({ fields }: JsonObject): boolean {
  return fields['kind'] === KIND;
}

/** Of the content, however it is laid out. */
function digestOf(formatVersion: number, fields: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([KIND, formatVersion, fields]))
    .digest('hex');
}

function encodePlan(plan: GcPlan): object {
  return {
    ...plan,
    madeAt: new Date(plan.madeAt).toISOString(),
    policy: encodePolicy(plan.policy),
    steps: plan.steps.map((step) => ({ ...step, volume: encodeVolume(step.volume) })),
  };
}

function encodePolicy({ graceMs, minAgeMs, retention: { policy, sources } }: CollectionPolicy): object {
  const own = [...sources].map(([url, part]) => ({ url, ...encodeRetention(part) }));
  return { graceMs, minAgeMs, retention: encodeRetention(policy), sources: own };
}

function encodeRetention(policy: Partial<RetentionPolicy>): object {
  return { ...policy, maxSizeBytes: policy.maxSizeBytes?.toString() };
}

function encodeVolume({ capacityBytes, allocationBytes, lengthBytes, modifiedAtMs, ...names }: PlannedVolume): object {
  return {
    ...names,
    capacityBytes: capacityBytes.toString(),
    allocationBytes: allocationBytes.toString(),
    lengthBytes: lengthBytes?.toString(),
    modifiedAtMs: modifiedAtMs?.toString(),
  };
}

function decodePlan(object: JsonObject): GcPlan {
  return {
    program: stringField(object, 'program'),
    ...decodePlace(object),
    madeAt: timeField(object, 'madeAt'),
    policy: decodePolicy(objectField(object, 'policy')),
    premises: decodePremises(objectField(object, 'premises')),
    steps: objectListField(object, 'steps').map(decodeStep),
  };
}

function decodePlace(object: JsonObject): PlanPlace {
  const pool = objectField(object, 'pool');
  return {
    host: stringField(object, 'host'),
    uri: stringField(object, 'uri'),
    pool: { name: stringField(pool, 'name'), uuid: stringField(pool, 'uuid') },
  };
}

function decodePremises(object: JsonObject): Premises {
  const [inventory, useGraph] = [stringField(object, 'inventory'), stringField(object, 'useGraph')];
  return { inventory, useGraph, sources: stringField(object, 'sources') };
}

function decodePolicy(object: JsonObject): CollectionPolicy {
  const own = objectField(object, 'retention');
  const sources = objectListField(object, 'sources');
  return {
    graceMs: integerField(object, 'graceMs'),
    minAgeMs: integerField(object, 'minAgeMs'),
    retention: {
      policy: {
        keepVersions: integerField(own, 'keepVersions'),
        unusedForMs: undefined,
        maxSizeBytes: undefined,
        gone: goneField(own) ?? 'keep',
        ...decodeRetention(own),
      },
      sources: new Map(sources.map((source) => [stringField(source, 'url'), decodeRetention(source)])),
    },
  };
}

/** Of no policy that keeps nothing, as none is ever written. */
function decodeRetention(object: JsonObject): Partial<RetentionPolicy> {
  const keepVersions = optionalIntegerField(object, 'keepVersions');
  const unusedForMs = optionalIntegerField(object, 'unusedForMs');
  const maxSizeBytes = optionalBytesField(object, 'maxSizeBytes');
  if (keepVersions === 0 || unusedForMs === 0 || maxSizeBytes === 0n)
    throw new IntegrityError(`${object.where} would keep nothing`);
  const gone = goneField(object);
  return {
    ...(keepVersions !== undefined && { keepVersions }),
    ...(unusedForMs !== undefined && { unusedForMs }),
    ...(maxSizeBytes !== undefined && { maxSizeBytes }),
    ...(gone !== undefined && { gone }),
  };
}

function goneField(object: JsonObject): RetentionPolicy['gone'] | undefined {
  const text = optionalStringField(object, 'gone');
  if (text === undefined || text === 'keep' || text === 'drop-when-unused') return text;
  throw new IntegrityError(`${object.where}: '${text}' is not what becomes of gone products`);
}

function decodeStep(object: JsonObject): PlanStep {
  const action = stringField(object, 'action');
  if (action !== 'retire' && action !== 'delete') throw new IntegrityError(`${object.where}: '${action}' is no action`);
  return {
    action,
    identity: identityField(object, 'identity'),
    volume: decodeVolume(objectField(object, 'volume')),
    reason: stringField(object, 'reason'),
  };
}

function decodeVolume(object: JsonObject): PlannedVolume {
  return {
    name: stringField(object, 'name'),
    key: stringField(object, 'key'),
    capacityBytes: bytesField(object, 'capacityBytes'),
    allocationBytes: bytesField(object, 'allocationBytes'),
    lengthBytes: optionalBytesField(object, 'lengthBytes'),
    modifiedAtMs: optionalTimeField(object, 'modifiedAtMs'),
  };
}

/** Milliseconds since the epoch, or before it: files may have any time. */
function optionalTimeField(object: JsonObject, name: string): number | undefined {
  const text = optionalStringField(object, name);
  if (text === undefined || /^-?\d{1,16}$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new IntegrityError(`${object.where}: field '${name}' is not a time`);
}

function timeField(object: JsonObject, name: string): number {
  const time = Date.parse(stringField(object, name));
  if (Number.isNaN(time)) throw new IntegrityError(`${object.where}: field '${name}' is not a time`);
  return time;
}
