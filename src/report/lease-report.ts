import { decodeVolumeName, identityText } from '../core/identity.ts';
import type { Lease } from '../core/lease.ts';
import type { Reporter } from './reporter.ts';

/** Shows a lease that counts. */
export function showLease(lease: Lease, isProcessGone: boolean, reporter: Reporter): void {
  const { id, volumeName, command, pid, host, createdAt, expiresAt } = lease;
  const until = new Date(expiresAt).toISOString();
  const holder = `pid ${pid}${isProcessGone ? ', which is gone' : ''}`;
  reporter.data(`${id}  ${imageText(volumeName)}  ${command} (${holder}) until ${until}`, 'lease', {
    id,
    volume: volumeName,
    command,
    pid,
    host,
    is_process_gone: isProcessGone,
    created_at: new Date(createdAt).toISOString(),
    expires_at: until,
  });
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
