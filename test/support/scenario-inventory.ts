import { readdir } from 'node:fs/promises';
import type { BlindSpot } from '../../src/core/reference.ts';
import { planSweep } from '../../src/core/sweep-plan.ts';
import type { Inventory, PoolListing } from '../../src/gather/inventory.ts';
import { drawGraph } from '../../src/gather/use-graph.ts';
import type { DomainDocuments } from '../../src/libvirt/domain.ts';
import type { StoragePool } from '../../src/libvirt/storage-pool.ts';
import type { Volume } from '../../src/libvirt/volume.ts';
import type { VolumeType } from '../../src/libvirt/volume-xml.ts';

/** What libvirt would tell of a volume. */
export interface VolumeFacts {
  readonly name: string;
  readonly path: string;
  readonly key?: string;
  readonly type?: VolumeType;
  readonly xml?: string;
}

/** What libvirt would tell of a pool. */
export interface PoolFacts {
  readonly name: string;
  readonly type?: string;
  readonly targetPath?: string;
  readonly volumes: readonly VolumeFacts[];
  readonly xml?: string;
}

/** An active pool as it would be listed, with the entries of its directory on this host, if it has one. */
export async function listed(facts: PoolFacts): Promise<PoolListing> {
  const { name, type = 'dir', targetPath, xml = `<pool type='${type}'><name>${name}</name></pool>` } = facts;
  const pool: StoragePool = { name, type, uuid: name, isActive: true, targetPath, sourceDevices: [], xml };
  const entries = targetPath === undefined ? undefined : await readdir(targetPath, { encoding: 'buffer' });
  return {
    pool,
    entries,
    volumes: facts.volumes.map((volume) => volumeOf(name, volume)),
    unreadable: [],
    blindSpots: [],
  };
}

/** A domain with these documents. */
export function domainOf(name: string, ...xmls: readonly string[]): DomainDocuments {
  const documents = xmls.map((xml, index) => ({ name: `domain ${name}, document ${index + 1}`, xml }));
  return { name, uuid: name, isActive: false, documents };
}

/** A domain's XML with these devices. */
export function domainDocument(name: string, devices: string): string {
  return `<domain type='kvm'><name>${name}</name><devices>${devices}</devices></domain>`;
}

/** What a sweep would delete, and what could not be seen. */
export interface Outlook {
  readonly deleted: readonly string[];
  readonly blindSpots: readonly BlindSpot[];
}

/** Draws the graph of an inventory and judges the volumes of these names. */
export async function outlookOf(
  inventory: Inventory,
  candidates: ReadonlySet<string>,
  { isLocal = false, contents = new Map<string, Uint8Array>() } = {},
): Promise<Outlook> {
  const { graph, volumes } = await drawGraph(inventory, {
    isLocal,
    qemuImg: () => Promise.resolve(undefined),
    readVolume: ({ name }, offset, length) => {
      const content = contents.get(name) ?? new Uint8Array();
      return Promise.resolve(content.subarray(Number(offset), Number(offset) + length));
    },
  });
  const judged = volumes
    .filter(({ volume }) => candidates.has(volume.name))
    .map(({ volume, node }) => ({ volume: { ...volume, type: 'file' }, node, lastNeededAt: 0 }));
  const verdicts = planSweep(judged, graph, { now: 1, graceMs: 0, minAgeMs: 0 });
  const deleted = verdicts.filter(({ action }) => action === 'delete').map(({ volume }) => volume.name);
  return { deleted: deleted.sort(), blindSpots: graph.blindSpots };
}

function volumeOf(pool: string, { name, path, key = path, type = 'file', xml }: VolumeFacts): Volume {
  const facts = {
    pool,
    name,
    isNameExact: !name.includes('\uFFFD'),
    key,
    path,
    type,
    format: undefined,
    capacityBytes: 0n,
    allocationBytes: 0n,
    lengthBytes: undefined,
    modifiedAtMs: undefined,
    backingPath: undefined,
    permissions: undefined,
    xml: xml ?? `<volume type='${type}'><name>x</name><key>${key}</key><target><path>${path}</path></target></volume>`,
  };
  return facts;
}
