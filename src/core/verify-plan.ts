import type { Digest, ImageRecord } from './record.ts';

/** What can be done to find out whether an image is still what it was. */
export type VerifyStep =
  | { readonly action: 'read'; readonly digest: Digest; readonly sizeBytes: bigint | undefined }
  /** It is meant to change. */
  | { readonly action: 'skip'; readonly reason: string }
  /** Nobody ever wrote down what it should be. */
  | { readonly action: 'give up'; readonly reason: string };

/** Decides how an image is verified. Only what nobody is meant to write to can be compared with what it was. */
export function planVerification(record: Pick<ImageRecord, 'provenance' | 'traits'> | undefined): VerifyStep {
  if (record?.traits?.isPersistent === true)
    return { action: 'skip', reason: 'it is persistent, so the domain that uses it may write to it' };
  const { digest, sizeBytes } = record?.provenance ?? {};
  if (digest !== undefined) return { action: 'read', digest, sizeBytes };
  const cause = record === undefined || record.provenance.broughtBy === 'uvtool' ? ', since uvtool brought it' : '';
  return { action: 'give up', reason: `no checksum of it is known${cause}` };
}
