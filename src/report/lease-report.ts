import { decodeVolumeName, identityText } from '../core/identity.ts';
import type { Lease } from '../core/lease.ts';
import { isoTime } from './iso-time.ts';
import type { Fields, Reporter } from './reporter.ts';
import { type Column, showTable } from './table.ts';

/** A lease that counts, and whether its process is. */
export interface ListedLease {
  readonly lease: Lease;
  readonly isProcessGone: boolean;
}

const COLUMNS: readonly Column<ListedLease>[] = [
  { title: 'ID', text: ({ lease }) => lease.id },
  { title: 'IMAGE', text: ({ lease }) => imageText(lease.volumeName), shrinksTo: 16, keepsEnd: true },
  { title: 'COMMAND', text: ({ lease }) => lease.command, shrinksTo: 8 },
  {
    title: 'PID',
    text: ({ lease, isProcessGone }) => `${lease.pid}${isProcessGone ? ', gone' : ''}`,
    style: ({ isProcessGone }) => (isProcessGone ? 'yellow' : undefined),
  },
  { title: 'HOST', text: ({ lease }) => lease.host, shrinksTo: 8, isOptional: true },
  { title: 'UNTIL', text: ({ lease }) => isoTime(lease.expiresAt) },
];

/** Shows the leases that count. */
export function showLeases(rows: readonly ListedLease[], reporter: Reporter): void {
  showTable({ messageType: 'lease', columns: COLUMNS, rows, fields: leaseFields }, reporter);
}

function leaseFields({ lease, isProcessGone }: ListedLease): Fields {
  const { id, volumeName, command, pid, host, createdAt, expiresAt } = lease;
  const times = { created_at: isoTime(createdAt), expires_at: isoTime(expiresAt) };
  return { id, volume: volumeName, command, pid, host, is_process_gone: isProcessGone, ...times };
}

/** Warns that a lease was shorter than what it was meant for. */
export function showEnded({ id, command }: Lease, reporter: Reporter): void {
  reporter.warning(
    `lease ${id} ended while ${command} was still running: its image may have been deleted`,
    'give it a longer time with --ttl',
  );
}

function imageText(volumeName: string): string {
  const identity = decodeVolumeName(volumeName);
  return identity === undefined ? volumeName : identityText(identity);
}
