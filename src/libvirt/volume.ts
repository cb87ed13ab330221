import type { NewPermissions } from '../core/permissions.ts';
import { isTrashFolder } from '../core/trash.ts';
import { LibvirtError, PoolkeeperError } from '../errors.ts';
import { isNoStorageVolume } from './error-codes.ts';
import { using, withPool, withVolume, withVolumes } from './handles.ts';
import { inShares } from './shares.ts';
import { type DescribedVolume, parseVolumeXml, VOLUME_TYPES } from './volume-xml.ts';
import { escapeXml } from './xml-text.ts';
import type { BelongsHere } from './shares.ts';
import type { Connection } from './connection.ts';
import type { Lane } from './lane.ts';
import type { VolumeHandle } from './signatures.ts';

/** A volume of which no more is known than that it exists. */
export interface NamedVolume {
  readonly name: string;
  /** False when the name on disk is not UTF-8: `name` then only resembles it, and nothing can be looked up by it. */
  readonly isNameExact: boolean;
}

/** A volume as libvirt describes it. What its header says is as of the pool's last refresh. */
export interface Volume extends NamedVolume, DescribedVolume {
  readonly pool: string;
  readonly key: string;
  readonly xml: string;
}

/** The volumes of a pool, and those that libvirt lists but cannot describe. */
export interface VolumeListing {
  readonly volumes: readonly Volume[];
  readonly unreadable: readonly UnreadableVolume[];
  /** The names of those that libvirt lists, and of which it says that they are not there when it is to describe them. */
  readonly missing?: readonly string[];
}

export interface UnreadableVolume {
  readonly name: string;
  readonly error: PoolkeeperError;
}

/** What to create: see `volumeXml`. */
export interface VolumeDescription {
  readonly name: string;
  readonly capacityBytes: bigint;
  readonly format: string;
  /** Space to reserve; without it the storage driver's default, which is all of the capacity for raw files. */
  readonly allocationBytes?: bigint;
  readonly backing?: { readonly path: string; readonly format: string };
  /** Version of the qcow2 format, `0.10` or `1.1`; without it libvirt's default, which is the older. */
  readonly compat?: string;
  /** Without them libvirt's defaults. */
  readonly permissions?: NewPermissions | undefined;
}

/**
 * The volumes of an active pool as of its last refresh. A volume that is not there is listed as missing, be it that it vanished
 * this moment or that its file system is not mounted; one that libvirt cannot describe (a QED overlay) as unreadable. A trash
 * folder of poolkeeper, which libvirt takes for a volume, is left out.
 */
export async function listVolumes(connection: Connection, pool: string): Promise<VolumeListing> {
  const count = await connection.run((lane) => countVolumes(lane, pool));
  const shares = await inShares(connection, count, (lane, belongsHere) => listShare(lane, pool, belongsHere));
  return {
    volumes: shares.flatMap((share) => share.volumes),
    unreadable: shares.flatMap((share) => share.unreadable),
    missing: shares.flatMap((share) => share.missing ?? []),
  };
}

/** Which volumes an active pool had at its last refresh: two calls, where `listVolumes` makes one for each volume. */
export function listVolumeNames(connection: Connection, pool: string): Promise<readonly NamedVolume[]> {
  return connection.run((lane) =>
    withVolumes(lane, pool, async (handles) =>
      handles
        .map((handle) => lane.native.storageVolGetName(handle))
        .filter((name) => !isTrashFolder(name))
        .map((name) => ({ name, isNameExact: isExact(name) })),
    ),
  );
}

/** @throws LibvirtError for which `isNoStorageVolume` holds when there is no such volume. */
export function lookupVolume(connection: Connection, pool: string, name: string): Promise<Volume> {
  return connection.run((lane) => withVolume(lane, pool, name, (volume) => readVolume(lane, volume, pool)));
}

/** Finds a volume of any active pool by the path libvirt shows for it; another spelling of the path finds nothing. */
export function lookupVolumeByPath(connection: Connection, path: string): Promise<Volume> {
  const what = `look up the volume with path '${path}'`;
  return lookupAnywhere(connection, (lane) => lane.call(what, lane.native.storageVolLookupByPath, lane.handle, path));
}

/** Finds a volume of any active pool by its exact key. */
export function lookupVolumeByKey(connection: Connection, key: string): Promise<Volume> {
  const what = `look up the volume with key '${key}'`;
  return lookupAnywhere(connection, (lane) => lane.call(what, lane.native.storageVolLookupByKey, lane.handle, key));
}

export function createVolume(connection: Connection, pool: string, xml: string): Promise<Volume> {
  return connection.run((lane) =>
    withPool(lane, pool, async (parent) => {
      const { native } = lane;
      const volume = await lane.call(`create a volume in pool '${pool}'`, native.storageVolCreateXML, parent, xml, 0);
      return using(volume, native.storageVolFree, () => readVolume(lane, volume, pool));
    }),
  );
}

/** Creates a volume with the content of another one; libvirt converts when the formats differ. */
export function createVolumeFrom(
  connection: Connection,
  pool: string,
  xml: string,
  source: { readonly pool: string; readonly name: string },
): Promise<Volume> {
  const what = `create a volume in pool '${pool}' from volume '${source.name}' in pool '${source.pool}'`;
  return connection.run((lane) =>
    withVolume(lane, source.pool, source.name, (from) =>
      withPool(lane, pool, async (parent) => {
        const { native } = lane;
        const volume = await lane.call(what, native.storageVolCreateXMLFrom, parent, xml, from, 0);
        return using(volume, native.storageVolFree, () => readVolume(lane, volume, pool));
      }),
    ),
  );
}

/** Makes a volume larger. What is behind its former end reads as zeros. */
export function resizeVolume(
  connection: Connection,
  { pool, name }: { readonly pool: string; readonly name: string },
  capacityBytes: bigint,
): Promise<void> {
  return connection.run((lane) =>
    withVolume(lane, pool, name, async (volume) => {
      await lane.call(
        `resize volume '${name}' in pool '${pool}'`,
        lane.native.storageVolResize,
        volume,
        capacityBytes,
        0,
      );
    }),
  );
}

/**
 * Removes a volume and its content. libvirt does not ask whether a domain has it open.
 *
 * @throws LibvirtError when it is not a file or a block device, because libvirt would remove whole directories, or when
 * its name was not UTF-8, because another volume may be called what it resembles.
 */
export function deleteVolume(connection: Connection, pool: string, name: string): Promise<void> {
  const what = `delete volume '${name}' in pool '${pool}'`;
  const hint = 'remove this one by hand';
  if (!isExact(name)) return Promise.reject(new LibvirtError(`cannot ${what}: its name is not UTF-8`, { hint }));
  return connection.run((lane) =>
    withVolume(lane, pool, name, async (volume) => {
      const info = await lane.call(`read the type of volume '${name}'`, lane.native.storageVolGetInfo, volume);
      const type = VOLUME_TYPES[info.type] ?? 'unknown';
      if (type !== 'file' && type !== 'block') {
        throw new LibvirtError(`cannot ${what}: its type is ${type}`, { hint });
      }
      await lane.call(what, lane.native.storageVolDelete, volume, 0);
    }),
  );
}

/** The document that creates a volume. */
export function volumeXml(volume: VolumeDescription): string {
  const { name, capacityBytes, format, allocationBytes, backing, compat, permissions } = volume;
  return [
    `<volume><name>${escapeXml(name)}</name>`,
    `<capacity unit='bytes'>${capacityBytes}</capacity>`,
    allocationBytes === undefined ? '' : `<allocation unit='bytes'>${allocationBytes}</allocation>`,
    `<target>${formatXml(format)}`,
    permissions && permissionsXml(permissions),
    compat && `<compat>${escapeXml(compat)}</compat>`,
    '</target>',
    backing && `<backingStore><path>${escapeXml(backing.path)}</path>${formatXml(backing.format)}</backingStore>`,
    '</volume>',
  ].join('');
}

/** A byte that is not UTF-8 was decoded to U+FFFD, which hardly stands in a name by itself. */
function isExact(name: string): boolean {
  return !name.includes('\uFFFD');
}

function permissionsXml({ mode, owner, group }: NewPermissions): string {
  const parts = Object.entries({ mode, owner, group }).filter(([, value]) => value !== undefined);
  return `<permissions>${parts.map(([name, value]) => `<${name}>${value}</${name}>`).join('')}</permissions>`;
}

function formatXml(format: string): string {
  return `<format type='${escapeXml(format)}'/>`;
}

function countVolumes(lane: Lane, pool: string): Promise<number> {
  return withPool(lane, pool, (handle) =>
    lane.call(`count the volumes of pool '${pool}'`, lane.native.storagePoolNumOfVolumes, handle),
  );
}

function listShare(lane: Lane, pool: string, belongsHere: BelongsHere): Promise<VolumeListing> {
  return withVolumes(lane, pool, async (handles) => {
    const volumes: Volume[] = [];
    const unreadable: UnreadableVolume[] = [];
    const missing: string[] = [];
    for (const handle of handles) {
      const name = lane.native.storageVolGetName(handle);
      if (!belongsHere(name) || isTrashFolder(name)) continue;
      try {
        volumes.push(await readVolume(lane, handle, pool));
      } catch (error) {
        if (!(error instanceof PoolkeeperError)) throw error;
        if (isNoStorageVolume(error)) missing.push(name);
        else unreadable.push({ name, error });
      }
    }
    return { volumes, unreadable, missing };
  });
}

function lookupAnywhere(connection: Connection, find: (lane: Lane) => Promise<VolumeHandle>): Promise<Volume> {
  return connection.run(async (lane) => {
    const { native } = lane;
    return using(await find(lane), native.storageVolFree, async (volume) => {
      const what = `look up the pool of volume '${native.storageVolGetName(volume)}'`;
      const pool = await lane.call(what, native.storagePoolLookupByVolume, volume);
      return using(pool, native.storagePoolFree, () => readVolume(lane, volume, native.storagePoolGetName(pool)));
    });
  });
}

/** Name and key come from the listing, not from the XML, where a carriage return would have become a newline. */
async function readVolume(lane: Lane, handle: VolumeHandle, pool: string): Promise<Volume> {
  const { native } = lane;
  const name = native.storageVolGetName(handle);
  const what = `read the XML of volume '${name}' in pool '${pool}'`;
  const xml = await lane.call(what, native.storageVolGetXMLDesc, handle, 0);
  return {
    pool,
    name,
    isNameExact: isExact(name),
    key: native.storageVolGetKey(handle),
    ...parseVolumeXml(xml),
    xml,
  };
}
