import { closeSync, constants, type Dirent, lstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { posix } from 'node:path';
import type { BlindSpot } from '../core/reference.ts';
import { isTrashFolder } from '../core/trash.ts';
import { detectFormat, mayBeVmdkText } from '../image-format/signature.ts';
import type { MountTable } from '../util/mounts.ts';

/** What a tree of folders holds that counts. */
export interface Tree {
  /** Paths, byte by byte, of all files but plain ones: those without the header of an image and without another name. */
  readonly files: readonly Buffer[];
  /** Folders that could not be read, with the error. */
  readonly unreadable: readonly { readonly path: Buffer; readonly error: unknown }[];
  /** Whether it holds more entries than were looked at. */
  readonly isCut: boolean;
}

export interface TreeOptions {
  readonly table: MountTable | undefined;
  /** How many entries are looked at. */
  readonly maxEntries: number;
}

/** File systems of the kernel itself, which hold no images and may have entries without end. */
const KERNEL_TYPES: ReadonlySet<string> = new Set(
  'proc sysfs cgroup cgroup2 debugfs tracefs securityfs configfs bpf devpts pstore efivarfs mqueue binfmt_misc'.split(
    ' ',
  ),
);

/** Enough of a file to tell whether it is an image with a header. */
const HEAD_BYTES = 2048;

/**
 * Walks through folders and all below them, and through those that links lead to: an overlay needs its base wherever it lies. A
 * folder is entered once, by the first way that leads to it. Plain files are left out, since a tree may have a million of them:
 * they need nothing, and whoever names one finds it without this.
 *
 * @param top what is above all of them and was looked at already, byte by byte as well as they.
 */
export async function walkTree(
  top: Buffer,
  folders: readonly Buffer[],
  { table, maxEntries }: TreeOptions,
): Promise<Tree> {
  const files: Buffer[] = [];
  const unreadable: { readonly path: Buffer; readonly error: unknown }[] = [];
  const entered = new Set(folders.length === 0 ? [] : [identityOf(top)]);
  const waiting = [...folders];
  const head = Buffer.alloc(HEAD_BYTES);
  let count = 0;
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    let entries: readonly Dirent<Buffer>[];
    try {
      const identity = identityOf(folder);
      if (entered.has(identity) || isOfKernel(folder, table) || isTrash(folder)) continue;
      entered.add(identity);
      entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
    } catch (error) {
      unreadable.push({ path: folder, error });
      continue;
    }
    count += entries.length;
    if (count > maxEntries) return { files, unreadable, isCut: true };
    for (const entry of entries) {
      const path = Buffer.concat([folder, SLASH, entry.name]);
      if (entry.isDirectory()) waiting.push(path);
      else if (entry.isFile()) {
        if (!isPlain(path, head)) files.push(path);
      } else if (leadsToFolder(path)) waiting.push(path);
      else files.push(path);
    }
  }
  return { files, unreadable, isCut: false };
}

/** What it means that a pool's directory was not looked through to its end: any image in the rest may need any other. */
export function tooLargeTree(pool: string, directory: string, maxEntries: number): BlindSpot {
  return {
    what: `storage pool '${pool}'`,
    cause: `more than ${maxEntries} files lie in and below '${directory}', and in what links there lead to`,
    remedy: `move out of '${directory}' what is no image, or remove the links to folders in it`,
    concerns: 'everything',
  };
}

const SLASH = Buffer.from('/');

function identityOf(folder: Buffer): string {
  const { dev, ino } = statSync(folder, { bigint: true });
  return `${dev}:${ino}`;
}

/** Links may lead there, so it is asked by the real path. */
function isOfKernel(folder: Buffer, table: MountTable | undefined): boolean {
  return KERNEL_TYPES.has(table?.of(realpathSync.native(folder))?.type ?? '');
}

/** Whether a folder is a trash of poolkeeper, whose files need nothing. */
function isTrash(folder: Buffer): boolean {
  return isTrashFolder(posix.basename(realpathSync.native(folder)));
}

function leadsToFolder(path: Buffer): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Whether a file shows no header of an image and has no other name; what cannot be read does not. */
function isPlain(path: Buffer, head: Buffer): boolean {
  try {
    if (lstatSync(path).nlink > 1) return false;
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY);
    try {
      const first = head.subarray(0, readSync(fd, head, 0, HEAD_BYTES, 0));
      return detectFormat(first) === 'raw' && !mayBeVmdkText(first);
    } finally {
      closeSync(fd);
    }
  } catch {
    return false;
  }
}
