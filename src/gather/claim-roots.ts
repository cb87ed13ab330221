import { join } from 'node:path';
import { absenceKey } from '../core/absent-name.ts';
import { type Claims, joinClaims } from '../core/claim.ts';
import type { HostMoment, Lease } from '../core/lease.ts';
import type { BlindSpot } from '../core/reference.ts';
import { PoolkeeperError } from '../errors.ts';
import { readHostMoment } from '../state/host-moment.ts';
import { readForgotten } from '../state/forgotten.ts';
import { type DamagedLease, leasePath, readLeases, stateOfLease } from '../state/leases.ts';
import { attempt, listDirectory } from '../state/listing.ts';
import { pinClaims } from './pin-roots.ts';

const EVIDENCE = 'field volumeName';

/**
 * What leases and pins keep, in every pool that there is state about. What cannot be read is kept as if it were held.
 *
 * @param now in milliseconds since the epoch.
 */
export async function readStateClaims(stateDir: string, now: number): Promise<Claims> {
  const moment = await readHostMoment(now);
  const pools = await attempt(() => listDirectory(join(stateDir, 'pools')));
  if (pools instanceof PoolkeeperError)
    return { claims: [], blindSpots: [unreadableDir('leases and locks', join(stateDir, 'pools'), pools)] };
  const parts: Claims[] = [];
  for (const entry of pools) {
    if (!entry.isDirectory()) continue;
    const root = join(stateDir, 'pools', entry.name);
    parts.push(await leaseClaims(entry.name, join(root, 'leases'), moment));
    const records = join(root, 'records');
    const pins = await attempt(() => pinClaims(entry.name, records, now));
    parts.push(
      pins instanceof PoolkeeperError ? { claims: [], blindSpots: [unreadableDir('locks', records, pins)] } : pins,
    );
  }
  return { ...joinClaims(...parts), forgotten: await forgottenNames(stateDir) };
}

/** A file that cannot be read answers nothing: the questions in it stay open. */
async function forgottenNames(stateDir: string): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const read = await attempt(() => readForgotten(stateDir));
  if (read instanceof PoolkeeperError) return new Map();
  return new Map(read.hosts.map(({ uri, names }) => [uri, new Set(names.map(({ name }) => absenceKey(name)))]));
}

async function leaseClaims(poolUuid: string, dir: string, moment: HostMoment): Promise<Claims> {
  const read = await attempt(() => readLeases(dir));
  if (read instanceof PoolkeeperError) return { claims: [], blindSpots: [unreadableDir('leases', dir, read)] };
  const live: Lease[] = [];
  for (const lease of read.leases) if ((await stateOfLease(lease, moment)) === 'live') live.push(lease);
  const claims = live.map((lease) => ({
    kind: 'lease' as const,
    poolUuid,
    volumeName: lease.volumeName,
    label: leaseLabel(lease),
    document: leasePath(dir, lease.id),
    evidence: EVIDENCE,
  }));
  return joinClaims({ claims, blindSpots: [] }, ...read.damaged.map((damaged) => damagedClaim(poolUuid, damaged)));
}

/** For example `lease 3f2a9c01 (virt-install …, pid 123, until 2026-11-20T21:38:00.000Z)`. */
function leaseLabel({ id, command, pid, expiresAt }: Lease): string {
  return `lease ${id} (${command}, pid ${pid}, until ${new Date(expiresAt).toISOString()})`;
}

/** A damaged lease holds the volume that it names; without a name it may be any. */
function damagedClaim(poolUuid: string, { path, volumeName, error }: DamagedLease): Claims {
  if (volumeName === undefined) return { claims: [], blindSpots: [damagedSpot(path, error)] };
  const label = `damaged lease '${path}' (${error.message}; if no command needs it, remove the file)`;
  return {
    claims: [{ kind: 'lease', poolUuid, volumeName, label, document: path, evidence: EVIDENCE }],
    blindSpots: [],
  };
}

function damagedSpot(path: string, { message }: PoolkeeperError): BlindSpot {
  const remedy = `if no command runs under it, remove the file '${path}'`;
  return { kind: 'claim', what: `lease '${path}'`, cause: message, remedy, concerns: 'everything' };
}

function unreadableDir(what: string, path: string, { message, hint }: PoolkeeperError): BlindSpot {
  const remedy = hint ?? 'make the directory readable';
  return { kind: 'claim', what: `${what} in '${path}'`, cause: message, remedy, concerns: 'everything' };
}
