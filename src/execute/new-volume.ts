import { FailureError } from '../errors.ts';
import { hasNumber, VIR_ERR } from '../libvirt/error-codes.ts';
import type { Volume } from '../libvirt/volume.ts';

/** Makes a volume by a call of libvirt. @throws FailureError when there is one of that name; what the call throws. */
export async function makeNewVolume(pool: string, name: string, create: () => Promise<Volume>): Promise<Volume> {
  try {
    return await create();
  } catch (cause) {
    if (!hasNumber(cause, VIR_ERR.storageVolumeExists)) throw cause;
    throw new FailureError(`volume '${name}' exists already in storage pool '${pool}'`, {
      hint: 'choose another name, or delete that volume first',
    });
  }
}
