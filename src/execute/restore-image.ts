import type { Restoration } from '../core/undo-plan.ts';
import { type Environment, putRecord } from './environment.ts';
import { offerImage } from './offer-image.ts';

/**
 * Puts an image back into circulation. Crash order: the record first, then the metadata file; a sync makes up for the file
 * if its source still has the image.
 */
export async function restoreImage({ record, isOffered }: Restoration, environment: Environment): Promise<void> {
  const { identity, volumeName, provenance, tags } = record;
  await putRecord(environment, record, { volumeName, identity, provenance, tags, status: 'active' });
  if (isOffered) await offerImage({ identity, tags }, environment);
}
