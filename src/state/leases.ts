import { join } from 'node:path';
import { type HostMoment, type Lease, leaseState, LONGEST_LEASE_MS } from '../core/lease.ts';
import { FailureError, IntegrityError, PoolkeeperError } from '../errors.ts';
import { readFileBounded, removeFileDurably, writeFileAtomic } from './atomic-file.ts';
import { processState } from './host-moment.ts';
import {
  checkFormatVersion,
  integerField,
  type JsonObject,
  optionalStringField,
  parseJsonObject,
  stringField,
} from './json-fields.ts';
import { attempt, isJsonName, readEach } from './listing.ts';

const FORMAT_VERSION = 1;
const MAX_BYTES = 64 * 1024;
const FILE_MODE = 0o640;
const SUFFIX = '.json';
const ID = /^[0-9a-f]{8}$/;

/** A lease file that cannot be used. It counts as a lease all the same. */
export interface DamagedLease {
  readonly path: string;
  /** The volume that it seems to be about. */
  readonly volumeName: string | undefined;
  readonly error: PoolkeeperError;
}

/** Every lease of a pool, those included that have ended. */
export interface Leases {
  readonly leases: readonly Lease[];
  readonly damaged: readonly DamagedLease[];
}

/** Where a lease is written down. */
export function leasePath(dir: string, id: string): string {
  return join(dir, id + SUFFIX);
}

/**
 * Reads every lease in a directory; one that is not there has none.
 *
 * @throws FailureError when the directory cannot be listed.
 */
export async function readLeases(dir: string): Promise<Leases> {
  const { found, unreadable } = await readEach(dir, isJsonName, readLease);
  const damaged: DamagedLease[] = [];
  for (const { name, error } of unreadable) {
    const path = join(dir, name);
    damaged.push({ path, volumeName: await guessVolume(path), error });
  }
  return { leases: found, damaged };
}

/**
 * Writes a lease down, and removes those that have ended. Only inside the pool's gate.
 *
 * @throws NoSpaceError, FailureError; there is then no lease.
 */
export async function writeLease(dir: string, lease: Lease, moment: HostMoment): Promise<void> {
  for (const other of (await readLeases(dir)).leases) {
    if ((await stateOfLease(other, moment)) !== 'live') await removeLease(dir, other.id);
  }
  const text = JSON.stringify({ formatVersion: FORMAT_VERSION, ...lease }, undefined, 2);
  await writeFileAtomic(leasePath(dir, lease.id), Buffer.from(`${text}\n`), { mode: FILE_MODE });
}

/** Whether a lease still counts, by what its process and the clocks of this host say. */
export async function stateOfLease(lease: Lease, moment: HostMoment): Promise<ReturnType<typeof leaseState>> {
  return leaseState(lease, moment, lease.host === moment.host && (await processState(lease)) === 'gone');
}

/** Ends a lease. One that has ended already is left as it is. */
export async function removeLease(dir: string, id: string): Promise<void> {
  if (!ID.test(id)) throw new FailureError(`'${id}' is no lease`);
  await removeFileDurably(leasePath(dir, id));
}

async function readLease(path: string, name: string): Promise<Lease | undefined> {
  const file = await readFileBounded(path, MAX_BYTES);
  if (file === undefined) return undefined;
  const lease = decodeLease(parseJsonObject(file.bytes, `lease '${path}'`));
  if (lease.id + SUFFIX !== name || !ID.test(lease.id))
    throw new IntegrityError(`lease '${path}' has another id than its name`);
  return lease;
}

function decodeLease(object: JsonObject): Lease {
  checkFormatVersion(object, FORMAT_VERSION);
  const lease = {
    id: stringField(object, 'id'),
    volumeName: stringField(object, 'volumeName'),
    command: stringField(object, 'command'),
    pid: integerField(object, 'pid'),
    processStart: integerField(object, 'processStart'),
    ...noteOfNamespace(optionalStringField(object, 'pidNamespace')),
    host: stringField(object, 'host'),
    bootId: stringField(object, 'bootId'),
    createdAt: integerField(object, 'createdAt'),
    expiresAt: integerField(object, 'expiresAt'),
    createdAtUptime: integerField(object, 'createdAtUptime'),
  };
  const promised = lease.expiresAt - lease.createdAt;
  if (promised > 0 && promised <= LONGEST_LEASE_MS) return lease;
  throw new IntegrityError(`${object.where} is for longer than a day, or for no time at all`);
}

function noteOfNamespace(pidNamespace: string | undefined): Pick<Lease, 'pidNamespace'> {
  return pidNamespace === undefined ? {} : { pidNamespace };
}

/** The volume that a damaged lease names; whatever follows that name need not make sense. */
async function guessVolume(path: string): Promise<string | undefined> {
  const file = await attempt(() => readFileBounded(path, MAX_BYTES));
  if (file === undefined || file instanceof PoolkeeperError) return undefined;
  const [, quoted] = /"volumeName"\s*:\s*("(?:[^"\\]|\\.)+")/.exec(file.bytes.toString()) ?? [];
  try {
    const name: unknown = quoted === undefined ? undefined : JSON.parse(quoted);
    return typeof name === 'string' ? name : undefined;
  } catch {
    return undefined;
  }
}
