import type { Identity } from '../core/identity.ts';
import { isLocalImage } from '../core/local-image.ts';
import type { ImageRecord } from '../core/record.ts';
import { type Environment, putRecord, unknownOrigin } from './environment.ts';

/** An image of which a record may not tell the truth yet. */
export interface UnrecordedImage {
  readonly volumeName: string;
  readonly identity: Identity;
  readonly record: ImageRecord | undefined;
  readonly tags: ImageRecord['tags'];
  readonly isOffered: boolean;
  /** As it stands, whatever the record says. */
  readonly status: ImageRecord['status'];
}

/** The record of an image, written if need be: what is offered without one was brought by uvtool. */
export async function ensureRecord(image: UnrecordedImage, environment: Environment): Promise<ImageRecord> {
  const { volumeName, identity, record, tags, isOffered, status } = image;
  if (record?.status === status) return record;
  const provenance = unknownOrigin(isOffered && !isLocalImage(identity) ? 'uvtool' : 'unknown');
  return putRecord(environment, record, { volumeName, identity, status, provenance, tags });
}
