import { PoolkeeperError } from '../errors.ts';
import { hasNumber, isNoDomain, VIR_ERR } from './error-codes.ts';
import { withList } from './handles.ts';
import type { BlindSpot, LibvirtDocument } from '../core/reference.ts';
import type { Lane } from './lane.ts';
import type { DomainHandle } from './signatures.ts';

/** A domain and every document that may name volumes it needs. */
export interface DomainDocuments {
  readonly name: string;
  readonly uuid: string;
  readonly isActive: boolean;
  readonly documents: readonly LibvirtDocument[];
}

/** Which domains, by UUID, may have more documents than their own XML. */
export interface Extras {
  readonly hasSnapshot: (uuid: string) => boolean;
  readonly hasCheckpoint: (uuid: string) => boolean;
  readonly hasManagedSave: (uuid: string) => boolean;
}

/** One domain being read. */
interface Scan {
  readonly lane: Lane;
  readonly domain: DomainHandle;
  readonly name: string;
  readonly documents: LibvirtDocument[];
  readonly blindSpots: BlindSpot[];
}

/** Something to read. */
interface Part {
  /** As in `domain web1, inactive XML`. */
  readonly what: string;
  /** With which the administrator can see for himself. */
  readonly command: string;
  /** The error numbers by which libvirt says that there is none. */
  readonly absentWhen: readonly number[];
  readonly isHistorical?: boolean;
}

/** VIR_DOMAIN_XML_INACTIVE */
const XML_INACTIVE = 1 << 1;

/** What virDomainGetID returns for a domain that is not active. */
const NO_ID = 0xffff_ffff;

/** Every document of one domain; `undefined` when it has vanished. */
export async function readDomain(
  lane: Lane,
  domain: DomainHandle,
  extras: Extras,
): Promise<{ domain: DomainDocuments; blindSpots: readonly BlindSpot[] } | undefined> {
  const name = lane.native.domainGetName(domain);
  const uuid = lane.native.domainGetUUIDString(domain);
  const isActive = lane.native.domainGetID(domain) !== NO_ID;
  const scan: Scan = { lane, domain, name, documents: [], blindSpots: [] };
  try {
    if (isActive) await readLiveXml(scan);
    await readInactiveXml(scan);
    if (extras.hasSnapshot(uuid)) await readSnapshots(scan);
    if (extras.hasCheckpoint(uuid)) await readCheckpoints(scan);
    if (extras.hasManagedSave(uuid)) await readManagedSave(scan);
    if (isActive) await readRunningBackup(scan);
  } catch (error) {
    if (isNoDomain(error)) return undefined;
    throw error;
  }
  return { domain: { name, uuid, isActive, documents: scan.documents }, blindSpots: scan.blindSpots };
}

function readLiveXml(scan: Scan): Promise<void> {
  const { lane, domain, name } = scan;
  const part = { what: 'live XML', command: `virsh dumpxml ${name}`, absentWhen: [] };
  return read(scan, part, (what) => lane.call(what, lane.native.domainGetXMLDesc, domain, 0));
}

function readInactiveXml(scan: Scan): Promise<void> {
  const { lane, domain, name } = scan;
  const part = { what: 'inactive XML', command: `virsh dumpxml --inactive ${name}`, absentWhen: [] };
  return read(scan, part, (what) => lane.call(what, lane.native.domainGetXMLDesc, domain, XML_INACTIVE));
}

function readSnapshots(scan: Scan): Promise<void> {
  const { domain: parent, lane, name } = scan;
  const { domainListAllSnapshots: list, domainSnapshotFree: free, domainSnapshotGetName: nameOf } = lane.native;
  const all = { what: 'snapshots', command: `virsh snapshot-list ${name}`, absentWhen: [VIR_ERR.noSupport] };
  const one = {
    command: `virsh snapshot-dumpxml ${name}`,
    absentWhen: [VIR_ERR.noDomainSnapshot],
    isHistorical: true,
  };
  return attempt(scan, all, (listWhat) =>
    withList(lane, { what: listWhat, list, parent, free }, async (snapshots) => {
      for (const snapshot of snapshots) {
        const part = { ...one, what: `snapshot ${nameOf(snapshot)}` };
        await read(scan, part, (what) => lane.call(what, lane.native.domainSnapshotGetXMLDesc, snapshot, 0));
      }
    }),
  );
}

function readCheckpoints(scan: Scan): Promise<void> {
  const { domain: parent, lane, name } = scan;
  const { domainListAllCheckpoints: list, domainCheckpointFree: free, domainCheckpointGetName: nameOf } = lane.native;
  const all = { what: 'checkpoints', command: `virsh checkpoint-list ${name}`, absentWhen: [VIR_ERR.noSupport] };
  const one = {
    command: `virsh checkpoint-dumpxml ${name}`,
    absentWhen: [VIR_ERR.noDomainCheckpoint],
    isHistorical: true,
  };
  return attempt(scan, all, (listWhat) =>
    withList(lane, { what: listWhat, list, parent, free }, async (checkpoints) => {
      for (const checkpoint of checkpoints) {
        const part = { ...one, what: `checkpoint ${nameOf(checkpoint)}` };
        await read(scan, part, (what) => lane.call(what, lane.native.domainCheckpointGetXMLDesc, checkpoint, 0));
      }
    }),
  );
}

/** Asks first: a driver may have saved states but no way to show their XML, which is not the same as having none. */
async function readManagedSave(scan: Scan): Promise<void> {
  const { lane, domain, name } = scan;
  const command = `virsh managedsave-dumpxml ${name}`;
  const existence = { what: 'managed save', command, absentWhen: [VIR_ERR.noSupport] };
  await attempt(scan, existence, async (askWhat) => {
    if ((await lane.call(askWhat, lane.native.domainHasManagedSaveImage, domain, 0)) === 0) return;
    const part = { what: 'managed save XML', command, absentWhen: [], isHistorical: true };
    await read(scan, part, (what) => lane.call(what, lane.native.domainManagedSaveGetXMLDesc, domain, 0));
  });
}

function readRunningBackup(scan: Scan): Promise<void> {
  const { lane, domain, name } = scan;
  const absentWhen = [VIR_ERR.noSupport, VIR_ERR.noDomainBackup];
  const part = { what: 'running backup XML', command: `virsh backup-dumpxml ${name}`, absentWhen };
  return read(scan, part, (what) => lane.call(what, lane.native.domainBackupGetXMLDesc, domain, 0));
}

function read(scan: Scan, part: Part, describe: (what: string) => Promise<string>): Promise<void> {
  return attempt(scan, part, async (what) => add(scan, part, await describe(what)));
}

function add({ name, documents }: Scan, { what, isHistorical }: Part, xml: string): void {
  documents.push({ name: `domain ${name}, ${what}`, xml, ...(isHistorical === true && { isHistorical }) });
}

/** What cannot be read becomes a blind spot, unless the whole domain is gone. */
async function attempt(scan: Scan, part: Part, body: (what: string) => Promise<void>): Promise<void> {
  try {
    await body(`read domain '${scan.name}', ${part.what}`);
  } catch (error) {
    if (!(error instanceof PoolkeeperError) || isNoDomain(error)) throw error;
    if (!hasNumber(error, ...part.absentWhen)) scan.blindSpots.push(blindSpot(scan.name, part, error));
  }
}

function blindSpot(name: string, { what, command }: Part, error: PoolkeeperError): BlindSpot {
  return {
    what: `domain '${name}': ${what}`,
    cause: error.message,
    remedy: error.hint ?? `mend or remove what makes '${command}' fail`,
    concerns: 'everything',
  };
}
