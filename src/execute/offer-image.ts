import type { WantedImage } from '../core/selection.ts';
import { writeMetadataFile } from '../state/metadata-files.ts';
import type { Environment } from './environment.ts';

/** Offers a complete image to new domains: writes its metadata file, which uvt-kvm and `query` look for. */
export async function offerImage(
  image: Pick<WantedImage, 'identity' | 'tags'>,
  environment: Environment,
): Promise<void> {
  const { journal, paths } = environment;
  const intent = await journal.begin({ kind: 'publish', identity: image.identity });
  await writeMetadataFile(paths.metadata, image.identity, image.tags);
  await journal.done(intent);
}
