import { type Identity, identityText } from '../core/identity.ts';
import { type PoolView, volumeNameIn } from '../gather/pool-view.ts';
import { UVTOOL_METADATA_DIR } from '../state/paths.ts';
import { whoseElse } from '../usage/directories.ts';
import type { Session } from './session.ts';

/**
 * Why a metadata file without a volume is left alone; `undefined`: it is this pool's. What has a record here was this pool's
 * for certain.
 */
export async function foreignMetadata(
  { connection, pool, paths }: Session,
  { records }: Pick<PoolView, 'records'>,
  identity: Identity,
): Promise<string | undefined> {
  if (records.has(volumeNameIn(pool)(identity))) return undefined;
  const isUvtools = paths.metadata === UVTOOL_METADATA_DIR;
  return whoseElse(connection, { managed: pool.name, identity, isUvtools });
}

/** Says that a metadata file is left alone. */
export function showForeignMetadata(identity: Identity, reason: string, { reporter }: Session): void {
  const image = identityText(identity);
  const text = `leave the metadata of image ${image} alone, which has no volume: ${reason}`;
  reporter.event('detail', text, 'foreign', { file: image });
}
