import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { FailureError } from '../errors.ts';
import { syncPath } from '../state/atomic-file.ts';

/**
 * Makes the file of a volume on this host survive a loss of power: neither libvirt nor qemu-img does. A file that this user
 * may not open is made durable with all else on the host.
 */
export async function makeDurable(path: string): Promise<void> {
  try {
    await syncPath(path);
    await syncPath(dirname(path));
  } catch {
    await syncAll(path);
  }
}

async function syncAll(path: string): Promise<void> {
  try {
    await promisify(execFile)('sync');
  } catch (cause) {
    throw new FailureError(`cannot make '${path}' durable`, { cause });
  }
}
