import type { ImageRecord } from '../core/record.ts';
import { writeRecord } from '../state/records.ts';
import type { Environment } from './environment.ts';
import { offerImage } from './offer-image.ts';

/** What an administrator changes about an image. */
export type ImageEdit = Partial<Pick<ImageRecord, 'tags' | 'traits'>>;

/**
 * Writes changed tags and traits of an image down. Crash order: the record first; a metadata file that was not reached still
 * describes the same image.
 */
export async function editImage(
  record: ImageRecord,
  edit: ImageEdit & { readonly isOffered: boolean },
  environment: Environment,
): Promise<ImageRecord> {
  const { isOffered, ...changes } = edit;
  const edited = { ...record, ...changes };
  await writeRecord(environment.paths.records, edited);
  if (isOffered) await offerImage(edited, environment);
  return edited;
}
