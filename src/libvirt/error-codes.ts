import { LibvirtError } from '../errors.ts';
import { daemonUnits } from './daemons.ts';

/** The error numbers of libvirt (virErrorNumber in libvirt/virterror.h) that poolkeeper tells apart. */
export const VIR_ERR = {
  internalError: 1,
  noSupport: 3,
  noConnect: 5,
  invalidArg: 8,
  operationDenied: 29,
  systemError: 38,
  rpc: 39,
  noDomain: 42,
  authFailed: 45,
  noStoragePool: 49,
  noStorageVolume: 50,
  operationInvalid: 55,
  noDomainSnapshot: 72,
  argumentUnsupported: 74,
  authCancelled: 79,
  accessDenied: 88,
  storageVolumeExists: 90,
  authUnavailable: 94,
  noDomainCheckpoint: 103,
  noDomainBackup: 104,
} as const;

/** VIR_FROM_RPC of virErrorDomain: what libvirt says when it cannot talk to its daemon. */
const FROM_RPC = 7;

const ACCESS_HINT = 'add the user to group libvirt, or run as root';

const HINTS: ReadonlyMap<number, string> = new Map([
  [VIR_ERR.noConnect, 'check the connection URI, which no driver of this host accepts: one is such as qemu:///system'],
  [VIR_ERR.operationDenied, ACCESS_HINT],
  [VIR_ERR.authFailed, ACCESS_HINT],
  [VIR_ERR.authCancelled, ACCESS_HINT],
  [VIR_ERR.authUnavailable, ACCESS_HINT],
  [VIR_ERR.accessDenied, ACCESS_HINT],
  [VIR_ERR.noStoragePool, "'virsh pool-list --all' shows the storage pools of this connection"],
  [VIR_ERR.noStorageVolume, "'virsh vol-list POOL' shows the volumes as of the pool's last refresh"],
  [VIR_ERR.storageVolumeExists, 'choose another name, or delete the existing volume first'],
]);

/** EACCES and EPERM of Linux: the socket is there, and is not for this user. */
const DENIED: ReadonlySet<number | undefined> = new Set([1, 13]);

/**
 * What the user can do about a libvirt error; `undefined` when libvirt's message has to be enough.
 *
 * @param errno what libvirt keeps of a system call that failed
 */
export function hintFor(virErrorNumber: number, virErrorDomain: number, errno?: number): string | undefined {
  const isSystemError = virErrorNumber === VIR_ERR.systemError && virErrorDomain === FROM_RPC;
  if (isSystemError && DENIED.has(errno)) return ACCESS_HINT;
  if (!isSystemError && virErrorNumber !== VIR_ERR.rpc) return HINTS.get(virErrorNumber);
  return `start the daemon where it should run: systemctl start ${daemonUnits()}`;
}

/** Whether libvirt itself said that there is no such volume: the only proof of absence. */
export function isNoStorageVolume(error: unknown): error is LibvirtError {
  return hasNumber(error, VIR_ERR.noStorageVolume);
}

/** Whether libvirt itself said that there is no such storage pool. */
export function isNoStoragePool(error: unknown): error is LibvirtError {
  return hasNumber(error, VIR_ERR.noStoragePool);
}

/** Whether libvirt itself said that there is no such domain. */
export function isNoDomain(error: unknown): error is LibvirtError {
  return hasNumber(error, VIR_ERR.noDomain);
}

/** Whether a libvirt error has one of these numbers. */
export function hasNumber(error: unknown, ...virErrorNumbers: readonly number[]): error is LibvirtError {
  return error instanceof LibvirtError && virErrorNumbers.includes(error.virErrorNumber);
}

/** Whether the connection to libvirtd broke, or cannot be made: a daemon that restarts is soon there again. */
export function isConnectionLost(error: unknown): error is LibvirtError {
  return error instanceof LibvirtError && error.virErrorDomain === FROM_RPC;
}
