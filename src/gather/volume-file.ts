import { lstatSync } from 'node:fs';
import type { Volume } from '../libvirt/volume.ts';
import { parseXml, textAt } from '../libvirt/xml-text.ts';
import { askOpen } from '../util/kernel.ts';
import { errnoCode } from '../util/errno.ts';

/**
 * The file that a volume is, to be known again: a file that takes its name later has another identity. `undefined` where this
 * program does not see the very file that libvirt describes, as on another host.
 */
export function fileIdentity({ path, lengthBytes, modifiedAtMs }: Volume): string | undefined {
  try {
    const status = lstatSync(path, { bigint: true });
    const isSame = status.size === lengthBytes && Number(status.mtimeNs / 1_000_000n) === modifiedAtMs;
    // An inode is used again at once; the time of its birth is not.
    return status.isFile() && isSame ? `${status.ino}/${status.birthtimeNs}` : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What a verdict on the content of a volume rests on: its length, and when its content and its inode changed, as libvirt tells.
 * Another text is another content, as far as anybody can tell without reading it.
 */
export function contentStamp({ xml, lengthBytes }: Volume): string {
  const timestamps = (name: string): string => textAt(parseXml(xml, 'volume'), 'target', 'timestamps', name) ?? '';
  return `${lengthBytes ?? ''} ${timestamps('mtime')} ${timestamps('ctime')}`;
}

/** Whether somebody on this host has the file of a volume open for writing, as far as this program may ask. */
export function isBeingWritten({ path }: Pick<Volume, 'path'>): boolean {
  try {
    return lstatSync(path).isFile() && askOpen(path, 'read').is === 'held';
  } catch (cause) {
    if (errnoCode(cause) === undefined) throw cause;
    return false;
  }
}
