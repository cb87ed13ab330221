import { type Dirent, lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { errnoCode } from '../util/errno.ts';
import { type MountTable, resolveLocally } from '../util/mounts.ts';

/** What a folder holds that leads out of it. */
export interface FatFolder {
  /** Files that are named by links, and files that have other names. */
  readonly files: readonly string[];
  /** Folders that links lead to. */
  readonly folders: readonly string[];
  /** What links lead to that is not there, or on a file system that may not answer. */
  readonly names: readonly string[];
  /** Why not all of it could be seen. */
  readonly unseen: string | undefined;
}

/** More does not fit on a FAT disk of QEMU, and looking for it must end. */
const MAX_ENTRIES = 100_000;

/**
 * Looks through a folder that QEMU shows to a guest as a FAT disk. QEMU follows every link in it, to files and to folders, and
 * goes into those as well.
 *
 * Source: QEMU, `block/vvfat.c`, `read_directory`.
 *
 * @param maxEntries for tests.
 */
export function readFatFolder(folder: string, table: MountTable, maxEntries = MAX_ENTRIES): FatFolder {
  const files: string[] = [];
  const folders: string[] = [];
  const names: string[] = [];
  const unseen = (why: string): FatFolder => ({ files, folders, names, unseen: why });
  const seen = new Set<string>();
  const waiting = [folder];
  let count = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    let entries: readonly Dirent[];
    try {
      const { dev, ino } = statSync(next, { bigint: true });
      if (seen.has(`${dev}:${ino}`)) continue;
      seen.add(`${dev}:${ino}`);
      entries = readdirSync(next, { withFileTypes: true });
    } catch (error) {
      const code = errnoCode(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') continue;
      return unseen(`'${next}' cannot be read: ${String(code)}`);
    }
    count += entries.length;
    if (count > maxEntries) return unseen(`it holds more than ${maxEntries} files`);
    for (const entry of entries) {
      const path = `${next}/${entry.name}`;
      if (entry.name.includes('\uFFFD')) return unseen(`a name in '${next}' is not UTF-8`);
      if (entry.isDirectory()) waiting.push(path);
      else if (entry.isSymbolicLink()) followLink(path);
      else if (hasOtherNames(path)) files.push(path);
    }
  }
  return { files, folders, names, unseen: undefined };

  function followLink(path: string): void {
    const target = resolveLocally(path, table);
    try {
      if (target.is !== 'here') names.push(posix.resolve(posix.dirname(path), readlinkSync(path)));
      else if (!statSync(target.path).isDirectory()) files.push(target.path);
      else {
        folders.push(target.path);
        waiting.push(target.path);
      }
    } catch (error) {
      // It went away meanwhile.
      if (errnoCode(error) === undefined) throw error;
    }
  }
}

function hasOtherNames(path: string): boolean {
  try {
    return lstatSync(path).nlink > 1;
  } catch {
    return false;
  }
}
