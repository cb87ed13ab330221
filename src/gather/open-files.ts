import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Reference } from '../core/reference.ts';
import type { GraphRoot } from '../core/use-graph.ts';
import { toEdge } from './draft.ts';
import type { FileIdentifier } from './file-identity.ts';

/** A file that the kernel holds open, and for whom. */
interface OpenFile {
  readonly holder: string;
  readonly path: string;
  readonly evidence: string;
}

/**
 * What the kernel of this host holds open, read by calls that wait, since nothing in /proc and /sys takes time: files of every process that may be looked at, and files behind loop devices.
 * It shows users that libvirt does not know, such as qemu-nbd, a QEMU started by hand, or a mounted image. Without root
 * only the user's own processes can be seen, so an absence here proves nothing; it only ever adds users.
 *
 * Source: proc(5), `/proc/PID/fd`; the kernel's `Documentation/ABI/testing/sysfs-block-loop`.
 *
 * @param folders only what lies below these counts: QEMU opens every image of a chain, so whoever needs a volume has it open.
 * @param ownPid poolkeeper itself does not count.
 */
export function openFileRoots(files: FileIdentifier, folders: readonly string[], ownPid: number): readonly GraphRoot[] {
  const isRelevant = (path: string): boolean => folders.some((folder) => path.startsWith(`${folder}/`));
  const open = [...filesOfProcesses(ownPid, isRelevant), ...filesOfLoopDevices(isRelevant)];
  return open.map(({ holder, path, evidence }) => {
    const reference: Reference = { kind: 'path', value: path, evidence };
    return { label: holder, kind: 'holder', edges: [toEdge(reference, holder, files)] };
  });
}

function filesOfProcesses(ownPid: number, isRelevant: (path: string) => boolean): readonly OpenFile[] {
  const pids = listNames('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== ownPid);
  return pids.flatMap((pid) => filesOfProcess(pid, isRelevant));
}

function filesOfProcess(pid: string, isRelevant: (path: string) => boolean): readonly OpenFile[] {
  const folder = `/proc/${pid}/fd`;
  const links = listNames(folder).map((fd) => readText(() => readlinkSync(`${folder}/${fd}`)));
  const paths = [...new Set(links)].filter((path) => path.startsWith('/') && isRelevant(path));
  if (paths.length === 0) return [];
  const name = readText(() => readFileSync(`/proc/${pid}/comm`, 'utf8')).trim();
  return paths.map((path) => ({ holder: `process ${pid} (${name})`, path, evidence: folder }));
}

function filesOfLoopDevices(isRelevant: (path: string) => boolean): readonly OpenFile[] {
  const devices = listNames('/sys/block').filter((name) => name.startsWith('loop'));
  return devices.flatMap((device) => {
    const evidence = `/sys/block/${device}/loop/backing_file`;
    const path = readText(() => readFileSync(evidence, 'utf8')).trim();
    return isRelevant(path) ? [{ holder: `loop device ${device}`, path, evidence }] : [];
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
