import { readDomain, type DomainDocuments, type Extras } from './domain-documents.ts';
import { hasNumber, VIR_ERR } from './error-codes.ts';
import { withDomains } from './handles.ts';
import { inShares, type BelongsHere } from './shares.ts';
import type { BlindSpot } from '../core/reference.ts';
import type { Connection } from './connection.ts';
import type { Lane } from './lane.ts';

export type { DomainDocuments } from './domain-documents.ts';

/** Every domain that could be seen, and what could not. */
export interface DomainListing {
  readonly domains: readonly DomainDocuments[];
  readonly blindSpots: readonly BlindSpot[];
}

/** virConnectListAllDomainsFlags */
const LIST_FLAG = { all: 0, managedSave: 1 << 8, hasSnapshot: 1 << 12, hasCheckpoint: 1 << 14 };

/**
 * Every document of every domain, running or not. A snapshot that vanishes meanwhile is left out; whatever else cannot be read is
 * a blind spot that concerns every volume. So is a domain that was there at first and cannot be found again: it may have
 * been undefined, or is being defined anew at this very moment.
 *
 * @throws LibvirtError when the domains cannot even be listed.
 */
export async function listDomainDocuments(connection: Connection): Promise<DomainListing> {
  const { first, extras } = await connection.run(async (lane) => ({
    first: await listIds(lane),
    extras: await listExtras(lane),
  }));
  const shares = await inShares(connection, first.size, (lane, belongsHere) => readShare(lane, extras, belongsHere));
  const domains = shares.flatMap((share) => share.domains);
  const blindSpots = shares.flatMap((share) => share.blindSpots);
  const read = new Set(domains.map(({ uuid }) => uuid));
  // Each share listed them for itself, and at another moment than the others.
  const again = await connection.run(async (lane) => {
    const isComplete = [...(await listIds(lane)).keys()].every((uuid) => read.has(uuid));
    return isComplete ? undefined : readShare(lane, await listExtras(lane), (uuid) => !read.has(uuid));
  });
  for (const { uuid } of again?.domains ?? []) read.add(uuid);
  const lost = [...first].filter(([uuid]) => !read.has(uuid));
  return {
    domains: [...domains, ...(again?.domains ?? [])],
    blindSpots: [...blindSpots, ...(again?.blindSpots ?? []), ...lost.map(([, name]) => lostDomain(name))],
  };
}

function lostDomain(name: string): BlindSpot {
  return {
    what: `domain '${name}'`,
    cause: 'it was listed, and could not be found again when it was to be read',
    remedy: 'run again when nobody is undefining or defining it',
    concerns: 'everything',
  };
}

/** The names of all domains, by UUID. */
async function listIds(lane: Lane): Promise<ReadonlyMap<string, string>> {
  const { domainGetUUIDString, domainGetName } = lane.native;
  return withDomains(
    lane,
    LIST_FLAG.all,
    async (handles) => new Map(handles.map((handle) => [domainGetUUIDString(handle), domainGetName(handle)])),
  );
}

/** Which domains have more than their own XML, so that the others need not be asked one by one. */
async function listExtras(lane: Lane): Promise<Extras> {
  return {
    hasSnapshot: await listHolders(lane, LIST_FLAG.hasSnapshot),
    hasCheckpoint: await listHolders(lane, LIST_FLAG.hasCheckpoint),
    hasManagedSave: await listHolders(lane, LIST_FLAG.managedSave),
  };
}

/** UUIDs of the domains with a property; a driver that cannot filter by it makes every domain a possible holder. */
async function listHolders(lane: Lane, flag: number): Promise<(uuid: string) => boolean> {
  const { domainGetUUIDString } = lane.native;
  try {
    const uuids = await withDomains(lane, flag, async (handles) => new Set(handles.map((h) => domainGetUUIDString(h))));
    return (uuid) => uuids.has(uuid);
  } catch (error) {
    if (hasNumber(error, VIR_ERR.noSupport, VIR_ERR.invalidArg, VIR_ERR.argumentUnsupported)) return () => true;
    throw error;
  }
}

function readShare(lane: Lane, extras: Extras, belongsHere: BelongsHere): Promise<DomainListing> {
  return withDomains(lane, LIST_FLAG.all, async (handles) => {
    const domains: DomainDocuments[] = [];
    const blindSpots: BlindSpot[] = [];
    for (const handle of handles) {
      if (!belongsHere(lane.native.domainGetUUIDString(handle))) continue;
      const seen = await readDomain(lane, handle, extras);
      if (seen === undefined) continue;
      domains.push(seen.domain);
      blindSpots.push(...seen.blindSpots);
    }
    return { domains, blindSpots };
  });
}
