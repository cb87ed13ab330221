import { existsSync } from 'node:fs';
import { join } from 'node:path';

interface Daemon {
  readonly unit: string;
  /** Its read-write socket. */
  readonly socket: string;
}

const MONOLITHIC: Daemon = { unit: 'libvirtd.socket', socket: 'libvirt-sock' };
const MODULAR: readonly Daemon[] = [
  { unit: 'virtqemud.socket', socket: 'virtqemud-sock' },
  { unit: 'virtstoraged.socket', socket: 'virtstoraged-sock' },
];

/**
 * The units of the daemons behind the sockets of a host, as words for `systemctl`: libvirtd, or one daemon for each driver. Of
 * the latter those whose socket is missing, else all that poolkeeper talks to. libvirt takes libvirtd where its socket is, and the
 * others where it is not.
 */
export function daemonUnits(runDir = '/run/libvirt', programs = '/usr/sbin'): string {
  const isThere = ({ socket }: Daemon): boolean => existsSync(join(runDir, socket));
  const isInstalled = (name: string): boolean => existsSync(join(programs, name));
  const isModular =
    !isThere(MONOLITHIC) && (MODULAR.some(isThere) || (isInstalled('virtqemud') && !isInstalled('libvirtd')));
  if (!isModular) return MONOLITHIC.unit;
  const missing = MODULAR.filter((daemon) => !isThere(daemon));
  return (missing.length === 0 ? MODULAR : missing).map(({ unit }) => unit).join(' ');
}
