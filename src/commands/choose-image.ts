import { NoMatchError } from '../errors.ts';
import { gatherPoolView } from '../gather/pool-view.ts';
import { isNoStorageVolume } from '../libvirt/error-codes.ts';
import { listVolumeNames, lookupVolume, type NamedVolume, type Volume } from '../libvirt/volume.ts';
import { findImage, type FoundImage, imagesOf } from './find-image.ts';
import { permit } from './permit.ts';
import type { Session } from './session.ts';

/** The words that stand for an image, and whether it may be one that is not offered. */
export interface ImageQuestion {
  readonly words: readonly string[];
  readonly isAny: boolean;
  /** What the image is for. */
  readonly purpose: 'path' | 'clone' | 'lease';
}

/**
 * Finds the volume that a user means to build something on. Among images of one name, the one that is offered is meant.
 * With `--any` it may also be a volume that poolkeeper does not manage.
 *
 * @throws NoMatchError when there is none or it is not offered; UsageError when several fit, with a list of them;
 * FailureError when it is not complete.
 */
export async function chooseImage({ connection, pool, paths }: Session, question: ImageQuestion): Promise<Volume> {
  const names = await listVolumeNames(connection, pool.name);
  const images = imagesOf(await gatherPoolView(pool, names, paths));
  const volumeName = chooseName(question, images, foreignNames(pool.name, names, images));
  try {
    return await lookupVolume(connection, pool.name, volumeName);
  } catch (cause) {
    if (!isNoStorageVolume(cause)) throw cause;
    throw new NoMatchError(`volume '${volumeName}' is gone`, {
      cause,
      hint: `'poolkeeper query' lists the images that are offered`,
    });
  }
}

function chooseName(
  { words, isAny, purpose }: ImageQuestion,
  images: readonly FoundImage[],
  foreign: ReadonlyMap<string, string>,
): string {
  try {
    const image = findImage(words, isAny ? images : preferOffered(words, images));
    permit(purpose, image, isAny);
    return image.volumeName;
  } catch (error) {
    const name = isAny && error instanceof NoMatchError ? foreign.get(words.join(' ')) : undefined;
    if (name === undefined) throw error;
    return name;
  }
}

/** Only the offered images, unless none of them is meant. */
function preferOffered(words: readonly string[], images: readonly FoundImage[]): readonly FoundImage[] {
  const offered = images.filter(({ isOffered }) => isOffered);
  try {
    findImage(words, offered);
  } catch (error) {
    if (error instanceof NoMatchError) return images;
    throw error;
  }
  return offered;
}

/** Volumes that are no images, by `NAME` and `POOL/NAME`. */
function foreignNames(
  pool: string,
  names: readonly NamedVolume[],
  images: readonly FoundImage[],
): ReadonlyMap<string, string> {
  const managed = new Set(images.map(({ volumeName }) => volumeName));
  const foreign = names.filter(({ name, isNameExact }) => isNameExact && !managed.has(name));
  return new Map(
    foreign.flatMap(({ name }): readonly [string, string][] => [
      [name, name],
      [`${pool}/${name}`, name],
    ]),
  );
}
