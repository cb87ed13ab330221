import { readdir, readFile, readlink } from 'node:fs/promises';
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
 * What the kernel of this host holds open: files of every process that may be looked at, and files behind loop devices.
 * It shows users that libvirt does not know, such as qemu-nbd, a QEMU started by hand, or a mounted image. Without root
 * only the user's own processes can be seen, so an absence here proves nothing; it only ever adds users.
 *
 * Source: proc(5), `/proc/PID/fd`; the kernel's `Documentation/ABI/testing/sysfs-block-loop`.
 *
 * @param folders only what lies below these counts: QEMU opens every image of a chain, so whoever needs a volume has it open.
 * @param ownPid poolkeeper itself does not count.
 */
export async function openFileRoots(
  files: FileIdentifier,
  folders: readonly string[],
  ownPid: number,
): Promise<readonly GraphRoot[]> {
  const isRelevant = (path: string): boolean => folders.some((folder) => path.startsWith(`${folder}/`));
  const open = [...(await filesOfProcesses(ownPid, isRelevant)), ...(await filesOfLoopDevices(isRelevant))];
  return Promise.all(
    open.map(async ({ holder, path, evidence }) => {
      const reference: Reference = { kind: 'path', value: path, evidence };
      return { label: holder, kind: 'holder' as const, edges: [await toEdge(reference, holder, files)] };
    }),
  );
}

async function filesOfProcesses(ownPid: number, isRelevant: (path: string) => boolean): Promise<readonly OpenFile[]> {
  const pids = (await listNames('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== ownPid);
  const found = await Promise.all(pids.map((pid) => filesOfProcess(pid, isRelevant)));
  return found.flat();
}

async function filesOfProcess(pid: string, isRelevant: (path: string) => boolean): Promise<readonly OpenFile[]> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all((await listNames(folder)).map((fd) => readText(() => readlink(`${folder}/${fd}`))));
  const paths = [...new Set(links)].filter((path) => path.startsWith('/') && isRelevant(path));
  if (paths.length === 0) return [];
  const name = (await readText(() => readFile(`/proc/${pid}/comm`, 'utf8'))).trim();
  return paths.map((path) => ({ holder: `process ${pid} (${name})`, path, evidence: folder }));
}

async function filesOfLoopDevices(isRelevant: (path: string) => boolean): Promise<readonly OpenFile[]> {
  const devices = (await listNames('/sys/block')).filter((name) => name.startsWith('loop'));
  const found = await Promise.all(
    devices.map(async (device) => {
      const evidence = `/sys/block/${device}/loop/backing_file`;
      const path = (await readText(() => readFile(evidence, 'utf8'))).trim();
      return isRelevant(path) ? [{ holder: `loop device ${device}`, path, evidence }] : [];
    }),
  );
  return found.flat();
}

/** Processes end and devices go while they are looked at; what is gone, or not ours to see, has nothing to say. */
async function readText(read: () => Promise<string>): Promise<string> {
  return read().catch(() => '');
}

async function listNames(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => []);
}
