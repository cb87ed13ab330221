import { readFile } from 'node:fs/promises';
import { elementsAt, parseXml, textAt } from './xml-text.ts';
import type { Connection } from './connection.ts';

/** The user and group that libvirt runs QEMU as, unless a domain's document says otherwise. */
export interface QemuUser {
  readonly uid: number;
  readonly gid: number;
}

/** Asks libvirt who runs QEMU; `undefined`: whoever runs libvirtd, as of a session daemon. */
export async function lookupQemuUser(connection: Connection): Promise<QemuUser | undefined> {
  return connection.run(async (lane) =>
    parseQemuUser(
      await lane.call('read the capabilities of the host', lane.native.connectGetCapabilities, lane.handle),
    ),
  );
}

/**
 * Reads who runs QEMU from a capabilities document: the base label of security model `dac`, `+UID:+GID`.
 *
 * Source: libvirt's `qemuSecurityInit`: a driver with root's rights has that model, whatever others there are.
 */
export function parseQemuUser(xml: string): QemuUser | undefined {
  const capabilities = parseXml(xml, 'capabilities');
  const dac = elementsAt(capabilities, 'host', 'secmodel').find((model) => textAt(model, 'model') === 'dac');
  const labels = dac === undefined ? [] : elementsAt(dac, 'baselabel');
  const match = labels.flatMap((label) => /^\+(\d+):\+(\d+)$/.exec(textAt(label) ?? '') ?? []);
  return match[1] === undefined ? undefined : { uid: Number(match[1]), gid: Number(match[2]) };
}

const QEMU_CONF = '/etc/libvirt/qemu.conf';

/**
 * Whether libvirt on this host gives the files of a domain to QEMU's user for the time that it runs (`dynamic_ownership`,
 * which is on unless the file says otherwise); `undefined`: the file may not be read.
 */
export async function isOwnershipDynamic(path = QEMU_CONF): Promise<boolean | undefined> {
  try {
    return parseDynamicOwnership(await readFile(path, 'utf8'));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return error.code === 'ENOENT' ? true : undefined;
  }
}

/** Source: libvirt's `virConfGetValue`: of two lines the first counts. */
export function parseDynamicOwnership(text: string): boolean {
  const found = /^[ \t]*dynamic_ownership[ \t]*=[ \t]*(\d+)/m.exec(text);
  return found?.[1] === undefined || Number(found[1]) !== 0;
}
