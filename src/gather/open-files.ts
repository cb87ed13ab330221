import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { GraphNode, GraphRoot, Token } from '../core/use-graph.ts';
import { deviceNumber, parseMounts } from '../util/mounts.ts';
import { pathTokens } from './file-identity.ts';

/** A file that the kernel holds open, for whom, and by which tokens it is one that was asked for. */
interface OpenFile {
  readonly holder: string;
  readonly path: string;
  readonly evidence: string;
  readonly tokens: readonly Token[];
}

/** The tokens of an open file that belong to something that was asked for. */
type Wanted = (tokens: readonly Token[]) => readonly Token[];

/**
 * Who has files of these nodes open: processes, by the names and inodes that the kernel shows for their descriptors, and loop
 * devices. It gives a name to users that libvirt does not know, such as qemu-nbd, a QEMU started by hand, or a mounted image.
 * Without root only the user's own processes can be seen, and mapped files, overlay mounts and descriptors in flight show
 * nothing here: an absence proves nothing.
 *
 * Nothing is ever asked of the files themselves: one on a dead network file system would never answer. /proc and /sys do at
 * once, so every call waits.
 *
 * Source: proc_pid_fd(5), proc_pid_fdinfo(5); the kernel's `Documentation/ABI/testing/sysfs-block-loop`.
 *
 * @param ownPid poolkeeper itself does not count.
 */
export function openFileRoots(nodes: readonly GraphNode[], ownPid: number): readonly GraphRoot[] {
  const known = new Set(nodes.flatMap(({ tokens }) => tokens).filter((token) => /^(?:inode|path):/.test(token)));
  if (known.size === 0) return [];
  const wanted: Wanted = (tokens) => tokens.filter((token) => known.has(token));
  const open = [...filesOfProcesses(ownPid, wanted), ...filesOfLoopDevices(wanted)];
  return open.map(({ holder, path, evidence, tokens }) => ({
    label: holder,
    kind: 'holder',
    edges: [{ reference: { kind: 'path', value: path, evidence }, document: holder, tokens }],
  }));
}

function filesOfProcesses(ownPid: number, wanted: Wanted): readonly OpenFile[] {
  const devicesOf = deviceReader();
  const pids = listNames('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== ownPid);
  return pids.flatMap((pid) => {
    const folder = `/proc/${pid}/fd`;
    const found = new Map<string, readonly Token[]>();
    let devices: ReadonlyMap<number, bigint> | undefined;
    for (const fd of listNames(folder)) {
      const path = readText(() => readlinkSync(`${folder}/${fd}`));
      // Sockets, pipes and what belongs to the kernel have no name, or none of a place where images lie.
      if (!path.startsWith('/') || /^\/(?:proc|sys)\//.test(path) || found.has(path)) continue;
      let tokens = wanted(pathTokens(path));
      if (tokens.length === 0) {
        devices ??= devicesOf(pid);
        tokens = wanted(inodeTokens(`/proc/${pid}/fdinfo/${fd}`, devices));
      }
      if (tokens.length > 0) found.set(path, tokens);
    }
    if (found.size === 0) return [];
    const name = readText(() => readFileSync(`/proc/${pid}/comm`, 'utf8')).trim();
    const holder = `process ${pid} (${name})`;
    return Array.from(found, ([path, tokens]) => ({ holder, path, evidence: folder, tokens }));
  });
}

/**
 * The inode behind a descriptor, by the kernel's own notes: its name may be one of another mount namespace. The device is
 * that of the mount; where stat(2) would show another one (overlayfs, subvolumes of btrfs), no token matches.
 */
function inodeTokens(path: string, devices: ReadonlyMap<number, bigint>): readonly Token[] {
  const notes = readText(() => readFileSync(path, 'latin1'));
  const inode = /^ino:\s*(\d+)$/m.exec(notes)?.[1];
  const device = devices.get(Number(/^mnt_id:\s*(\d+)$/m.exec(notes)?.[1]));
  return inode === undefined || device === undefined ? [] : [`inode:${device}:${inode}`];
}

/** Reads the device of each mount of a process, by the mount's number and once for each mount namespace. */
function deviceReader(): (pid: string) => ReadonlyMap<number, bigint> {
  const known = new Map<string, ReadonlyMap<number, bigint>>();
  return (pid) => {
    const namespace = readText(() => readlinkSync(`/proc/${pid}/ns/mnt`));
    const devices =
      known.get(namespace) ?? devicesOfMounts(readText(() => readFileSync(`/proc/${pid}/mountinfo`, 'latin1')));
    known.set(namespace, devices);
    return devices;
  };
}

function devicesOfMounts(mountinfo: string): ReadonlyMap<number, bigint> {
  return new Map(
    parseMounts(mountinfo).flatMap(({ id, device }) => {
      const number = deviceNumber(device);
      return number === undefined ? [] : [[id, number] as const];
    }),
  );
}

function filesOfLoopDevices(wanted: Wanted): readonly OpenFile[] {
  const devices = listNames('/sys/block').filter((name) => name.startsWith('loop'));
  return devices.flatMap((device) => {
    const evidence = `/sys/block/${device}/loop/backing_file`;
    const path = readText(() => readFileSync(evidence, 'utf8')).replace(/\n$/, '');
    const tokens = wanted(pathTokens(path));
    return tokens.length > 0 ? [{ holder: `loop device ${device}`, path, evidence, tokens }] : [];
  });
}

/** Processes end and devices go while they are looked at; what is gone, or not ours to see, has nothing to say. */
function readText(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

function listNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
