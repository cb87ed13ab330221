import type { Identity } from '../core/identity.ts';
import type { ImageRecord } from '../core/record.ts';
import { removeMetadataFile } from '../state/metadata-files.ts';
import { type Environment, putRecord, unknownOrigin } from './environment.ts';

/** An image that is to be offered no longer. */
export interface Withdrawal {
  readonly identity: Identity;
  readonly volumeName: string;
  readonly record: ImageRecord | undefined;
  /** What its metadata file said, for the record if there is none yet. */
  readonly item?: ImageRecord['tags'];
  /** What it is kept as, if it is held on to all the same. */
  readonly keptAs?: 'active' | 'deactivated' | undefined;
  /** A person named it to be deleted. */
  readonly isNamed?: true;
}

/** Stops offering an image. Crash order: the metadata file goes first, so what waits for deletion is never offered. */
export async function withdrawImage(withdrawal: Withdrawal, environment: Environment): Promise<void> {
  const { identity, volumeName, record, item = {}, keptAs, isNamed } = withdrawal;
  const intent = await environment.journal.begin({ kind: 'retire', identity });
  await removeMetadataFile(environment.paths.metadata, identity);
  const { provenance, tags } = record ?? { provenance: unknownOrigin('unknown'), tags: item };
  await putRecord(environment, record, {
    volumeName,
    identity,
    status: keptAs ?? statusWithdrawn(record),
    provenance,
    tags,
    isNamed,
  });
  await environment.journal.done(intent);
}

/** Only what was complete may be taken back into the offer, as what waits for deletion may. */
function statusWithdrawn(record: ImageRecord | undefined): 'pending_delete' | 'killed' {
  const status = record?.status;
  return status === 'saving' || status === 'importing' || status === 'killed' ? 'killed' : 'pending_delete';
}
