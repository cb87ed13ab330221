import { readFileSync } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import type { BlindSpot } from '../core/reference.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import type { Volume } from '../libvirt/volume.ts';
import { CAPABILITIES, hasCapability } from '../util/capabilities.ts';
import { errnoCode } from '../util/errno.ts';

// What this run can prove about the files of a pool, and who else could see them. Whoever may not take a write lease cannot
// prove that nobody has a file open, and whoever shares storage with other hosts cannot see their processes at all.

/** What the kernel lets this process do with files of others. */
export interface LeaseRight {
  /** The user that accesses to files count as. */
  readonly uid: number | undefined;
  /** CAP_LEASE: to take leases on files of others. */
  readonly isUnlimited: boolean;
}

/** The rights of this process, from `/proc/self/status`; without it none. */
export function readLeaseRight(path = '/proc/self/status'): LeaseRight {
  try {
    return parseLeaseRight(readFileSync(path, 'latin1'));
  } catch {
    return { uid: undefined, isUnlimited: false };
  }
}

/** Reads the text of `/proc/PID/status`. */
export function parseLeaseRight(text: string): LeaseRight {
  const uid = /^Uid:(?:\s+\d+){3}\s+(\d+)$/m.exec(text)?.[1];
  return { uid: uid === undefined ? undefined : Number(uid), isUnlimited: hasCapability(text, CAPABILITIES.lease) };
}

/**
 * What keeps a run without CAP_LEASE from deleting in a pool: fcntl(2) gives a lease only to the owner of a file. In a pool
 * of one's own only the files of others are concerned.
 */
export async function missingRight(
  pool: StoragePool,
  volumes: readonly Volume[],
  right: LeaseRight,
): Promise<readonly BlindSpot[]> {
  const { targetPath, name } = pool;
  if (right.isUnlimited || targetPath === undefined) return [];
  const spot = {
    kind: 'right',
    what: `who has files of storage pool '${name}' open`,
    remedy: 'let root delete: run the same command with sudo, or enable poolkeeper-sync.timer',
  } as const;
  const owner = await stat(targetPath).then(
    ({ uid }) => uid,
    () => undefined,
  );
  const rule = 'without CAP_LEASE only the owner of a file can tell that nobody has it open';
  if (owner === undefined || owner !== right.uid)
    return [{ ...spot, cause: `${rule}, and the pool belongs to somebody else`, concerns: { pool: name } }];
  const foreign = volumes.filter(({ permissions }) => permissions?.owner !== right.uid);
  if (foreign.length === 0) return [];
  const concerns = foreign.map(({ path }) => ({ kind: 'path', value: path, evidence: 'owner' }) as const);
  return [{ ...spot, cause: `${rule}, and ${foreign.length} file(s) belong to somebody else`, concerns }];
}

/** What the configuration says of the storage of pools, by name: whether other hosts use it. */
export type Sharing = ReadonlyMap<string, { readonly value: 'yes' | 'no' }>;

/** Kinds of pools that are on the network by their nature. */
const NETWORK_POOLS: ReadonlyMap<string, string> = new Map([
  ['netfs', 'a network file system'],
  ['vstorage', 'a cluster file system'],
]);

/**
 * File systems that other hosts can see, by the number that statfs(2) gives. Source: statfs(2), `linux/magic.h` and the table
 * of GNU `stat`. Virtiofs and every other file system in user space have the number of FUSE.
 */
const SHARED_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x61636673, 'ACFS'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x0187, 'autofs, with nothing mounted there'],
  [0x00c36400, 'CephFS'],
  [0xff534d42, 'CIFS'],
  [0x73757245, 'Coda'],
  [0x19830326, 'BeeGFS'],
  [0x65735546, 'FUSE or virtiofs'],
  [0x01161970, 'GFS2'],
  [0x47504653, 'GPFS'],
  [0x013111a8, 'IBRIX'],
  [0x0bd00bd0, 'Lustre'],
  [0x564c, 'NCP'],
  [0x6969, 'NFS'],
  [0x7461636f, 'OCFS2'],
  [0x20030528, 'OrangeFS'],
  [0xaad7aaea, 'PanFS'],
  [0x7c7c6673, 'Parallels shared folders'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0xbeefdead, 'StorNext'],
  [0x01021997, '9p'],
  [0x786f4256, 'VirtualBox shared folders'],
  [0xbacbacbc, 'VMware shared folders'],
  [0xa501fcf5, 'VxFS'],
]);

/** File systems that one host has mounted at a time, or that live in its memory. */
const LOCAL_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x61756673, 'aufs'],
  [0xca451a4e, 'bcachefs'],
  [0x9123683e, 'btrfs'],
  [0xf15f, 'eCryptfs'],
  [0x2011bab0, 'exFAT'],
  [0xef53, 'ext4'],
  [0xf2f52010, 'f2fs'],
  [0x3153464a, 'JFS'],
  [0x4d44, 'FAT'],
  [0x3434, 'NILFS2'],
  [0x5346544e, 'NTFS'],
  [0x7366746e, 'NTFS3'],
  [0x794c7630, 'overlayfs'],
  [0x858458f6, 'ramfs'],
  [0x52654973, 'Reiserfs'],
  [0x01021994, 'tmpfs'],
  [0x58465342, 'XFS'],
  [0x2fc12fc1, 'ZFS'],
]);

/** Why other hosts may see a file system of this number; `undefined` where one host has it alone. */
export function sharedBy(type: number): string | undefined {
  // The kernel's number is a signed word on some architectures.
  const number = type >>> 0;
  if (LOCAL_FILE_SYSTEMS.has(number)) return undefined;
  const name = SHARED_FILE_SYSTEMS.get(number);
  return name === undefined
    ? `it is on a file system of an unknown kind (0x${number.toString(16)}), which other hosts may see`
    : `it is on ${name}, which other hosts can see`;
}

/**
 * Finds why no run may delete in a pool: other hosts may need its files, and nobody here can tell. The configuration
 * can say that this host is alone.
 *
 * @param isLocal whether the pool's directory is one of this host; otherwise its type alone is known.
 */
export async function sharedStorage(
  pool: StoragePool,
  sharing: Sharing,
  isLocal: boolean,
): Promise<readonly BlindSpot[]> {
  const said = sharing.get(pool.name)?.value;
  if (said === 'no') return [];
  const cause = said === 'yes' ? 'the configuration says that other hosts use it' : await reasonOf(pool, isLocal);
  if (cause === undefined) return [];
  return [
    {
      kind: 'shared storage',
      what: `what other hosts need of storage pool '${pool.name}'`,
      cause,
      remedy: `if this host alone uses it, write 'storage: {${inYaml(pool.name)}: {shared: no}}' into the configuration`,
      concerns: { pool: pool.name },
    },
  ];
}

async function reasonOf({ type, targetPath }: StoragePool, isLocal: boolean): Promise<string | undefined> {
  const nature = NETWORK_POOLS.get(type);
  if (nature !== undefined) return `it is a pool of type '${type}', ${nature}`;
  if (!isLocal || targetPath === undefined) return undefined;
  try {
    return sharedBy((await statfs(targetPath)).type);
  } catch (error) {
    const code = errnoCode(error) ?? String(error);
    return `nobody can tell which file system it is on: statfs of '${targetPath}' says ${code}`;
  }
}

/** A name as a key of YAML, whatever is in it. */
function inYaml(name: string): string {
  const isPlain = /^[A-Za-z][\w-]*$/.test(name) && !/^(?:true|false|null|yes|no|on|off)$/i.test(name);
  return isPlain ? name : JSON.stringify(name);
}
