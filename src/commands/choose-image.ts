import { timedExpression } from './timed-expression.ts';
import { type Filter, matchesAll, parseFilter } from '../core/filter.ts';
import { decodeVolumeName, identityText } from '../core/identity.ts';
import { InUseError, NoMatchError, UsageError } from '../errors.ts';
import { gatherPoolView, type PoolView } from '../gather/pool-view.ts';
import { isNoStorageVolume } from '../libvirt/error-codes.ts';
import { listVolumeNames, lookupVolume, type NamedVolume, type Volume } from '../libvirt/volume.ts';
import { findNamed } from './find-subject.ts';
import { offeredImages } from './offered-images.ts';
import type { Session } from './session.ts';

/** The words that stand for an image, and whether it may be one that is not offered. */
export interface ImageQuestion {
  readonly words: readonly string[];
  readonly isAny: boolean;
}

/** Statuses in which not every byte of an image is there, or not the right ones. */
const INCOMPLETE: ReadonlySet<string> = new Set(['queued', 'saving', 'importing', 'killed']);

/**
 * Finds the volume that a user means to build something on: by its name, by `PRODUCT VERSION`, by the product alone, or by
 * filters that only one offered image matches.
 *
 * @throws NoMatchError when there is none or it is not offered; UsageError when several fit, with a list of them;
 * InUseError when it is still arriving.
 */
export async function chooseImage({ connection, pool, paths }: Session, question: ImageQuestion): Promise<Volume> {
  const names = await listVolumeNames(connection, pool.name);
  const view = await gatherPoolView(pool, names, paths);
  const volumeName = chooseName(question, names, view);
  assertComplete(volumeName, view);
  try {
    return await lookupVolume(connection, pool.name, volumeName);
  } catch (cause) {
    if (!isNoStorageVolume(cause)) throw cause;
    throw new NoMatchError(`volume '${volumeName}' is gone`, { cause, hint: OFFER_HINT });
  }
}

const OFFER_HINT = `'poolkeeper query' lists the images that are offered`;

function chooseName({ words, isAny }: ImageQuestion, names: readonly NamedVolume[], view: PoolView): string {
  const inPool = ({ name }: { readonly name: string }) => ({ volume: { pool: view.pool.name, name } });
  const text = words.join(' ');
  const filters = toFilters(words);
  const offered = offeredImages(view).map(({ volumeName }) => inPool({ name: volumeName }));
  const all = names.filter(({ isNameExact }) => isNameExact).map(inPool);
  const isSame = (a: { volume: { name: string } }, b: { volume: { name: string } }) => a.volume.name === b.volume.name;
  const find = (from: typeof all): string => findNamed(text, from, isSame).volume.name;
  try {
    return find(isAny ? all : offered);
  } catch (error) {
    if (!(error instanceof NoMatchError)) throw error;
    if (filters !== undefined) return onlyMatch(text, filters, view);
    if (isAny) throw error;
    const volumeName = find(all);
    throw new NoMatchError(`${labelOf(volumeName)} is not offered to new domains`, {
      hint: `--any takes it all the same; ${OFFER_HINT}`,
    });
  }
}

/** A volume that is gone must not be taken for a filter: `x-uvt-b64-…=` would match whatever has no such tag. */
function toFilters(words: readonly string[]): readonly Filter[] | undefined {
  const isFilter = (word: string) => /^[\w|-]+\s*(?:!=|!~|=|~)/.test(word) && decodeVolumeName(word) === undefined;
  return words.every(isFilter) ? words.map((word) => parseFilter(word, timedExpression)) : undefined;
}

function onlyMatch(text: string, filters: readonly Filter[], view: PoolView): string {
  const found = offeredImages(view).filter(({ tags }) => matchesAll(tags, filters));
  const [first] = found;
  if (first === undefined) throw new NoMatchError(`no offered image matches ${text}`, { hint: OFFER_HINT });
  if (found.length === 1) return first.volumeName;
  const list = found.map(({ identity }) => `\n  ${identityText(identity)}`).sort();
  throw new UsageError(`${text} matches ${found.length} images:${list.join('')}`, {
    hint: 'add filters until one is left, or name its product',
  });
}

function assertComplete(volumeName: string, { records }: PoolView): void {
  const record = records.get(volumeName);
  if (record === undefined || !INCOMPLETE.has(record.status)) return;
  throw new InUseError(`${labelOf(volumeName)} is not complete: its status is ${record.status}`, {
    hint: `run 'poolkeeper sync' to fetch the rest of it`,
  });
}

/** What a volume is called in messages. */
function labelOf(volumeName: string): string {
  const identity = decodeVolumeName(volumeName);
  return identity === undefined ? `volume '${volumeName}'` : `image ${identityText(identity)}`;
}
