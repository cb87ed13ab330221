import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { posix } from 'node:path';
import { absenceKey, type ForgottenName } from '../core/absent-name.ts';
import type { AbsentName, BlindSpot } from '../core/reference.ts';
import type { Absence } from '../core/use-graph.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import { changeForgotten, type ForgottenPlace, readForgotten } from '../state/forgotten.ts';
import { type MountFacts, type PathPlace, pathPlaceOf } from '../usage/mount-facts.ts';

/** A name that leads to nothing and waits for an answer. */
export interface Unanswered {
  readonly name: AbsentName;
  /** The documents that name it. */
  readonly documents: readonly string[];
  /** Nothing but snapshots, checkpoints and saved states names it. */
  readonly isHistorical: boolean;
  /** The folder in which it would lie; of a volume without one, its pool. */
  readonly folder: string;
  /** Where on this host it would lie; `undefined` for what has no path. */
  readonly place: PathPlace | undefined;
}

/** Every unanswered name, in the order in which they are shown, and the digest of just this list. */
export interface UnansweredList {
  readonly all: readonly Unanswered[];
  readonly digest: string;
}

/** Lists the names that wait for an answer, with where they would lie. */
export function listUnanswered(
  absences: readonly Absence[],
  pools: readonly StoragePool[],
  facts: MountFacts,
): UnansweredList {
  const all = absences
    .filter(({ verdict }) => verdict === 'unanswered')
    .map(({ name, edges }): Unanswered => {
      const path = pathOf(name, pools);
      return {
        name,
        documents: [...new Set(edges.map(({ document }) => document))],
        isHistorical: edges.every(({ isHistorical = false }) => isHistorical),
        folder: path === undefined ? groupOf(name) : posix.dirname(path),
        place: path === undefined ? undefined : pathPlaceOf(path, facts),
      };
    })
    .toSorted((a, b) => compare(a.folder, b.folder) || compare(absenceKey(a.name), absenceKey(b.name)));
  const text = JSON.stringify(
    all.map(({ name, documents, place }) => [absenceKey(name), documents.toSorted(), place?.awaited?.point ?? null]),
  );
  return { all, digest: createHash('sha256').update(text).digest('hex').slice(0, 12) };
}

/** Whether it would lie where something is configured to be mounted and is not: then it is hardly gone. */
export function isAwaited({ place }: Unanswered): boolean {
  return place?.awaited !== undefined;
}

/** Writes down that names are gone for good; what was said of one before is replaced. */
export async function forgetNames(place: ForgottenPlace, forgotten: readonly ForgottenName[]): Promise<void> {
  const keys = new Set(forgotten.map(({ name }) => absenceKey(name)));
  await changeForgotten(place, (names) => [...names.filter(({ name }) => !keys.has(absenceKey(name))), ...forgotten]);
}

/** Takes back what was said of a name. @returns whether anything was. */
export async function rememberName(place: ForgottenPlace, wanted: AbsentName): Promise<boolean> {
  const key = absenceKey(wanted);
  let found = false;
  await changeForgotten(place, (names) => {
    const others = names.filter(({ name }) => absenceKey(name) !== key);
    found = others.length < names.length;
    return found ? others : names;
  });
  return found;
}

/** A name that is not forgotten any more: it leads somewhere again, or nothing names it. */
export interface Remembered {
  readonly name: AbsentName;
  readonly isBack: boolean;
}

/**
 * Ends what was said of names that lead somewhere again, so that the next time they lead to nothing is a new question; and of those
 * that nothing names any more, as far as everything could be read that may name one.
 */
export async function settleForgotten(
  place: ForgottenPlace,
  { absences, blindSpots }: { readonly absences: readonly Absence[]; readonly blindSpots: readonly BlindSpot[] },
): Promise<readonly Remembered[]> {
  const { hosts } = await readForgotten(place.stateDir);
  const known = hosts.find(({ uri }) => uri === place.uri)?.names ?? [];
  const absent = new Set(absences.map(({ name }) => absenceKey(name)));
  const isComplete = blindSpots.every(({ kind = 'unseen' }) => kind !== 'unseen' && kind !== 'claim');
  const settled = known.flatMap(({ name }): readonly Remembered[] => {
    if (absent.has(absenceKey(name))) return [];
    const isBack = name.kind === 'path' && lstatSync(name.path, { throwIfNoEntry: false }) !== undefined;
    return isBack || isComplete ? [{ name, isBack }] : [];
  });
  if (settled.length === 0) return [];
  const keys = new Set(settled.map(({ name }) => absenceKey(name)));
  await changeForgotten(place, (names) => names.filter(({ name }) => !keys.has(absenceKey(name))));
  return settled;
}

function pathOf(name: AbsentName, pools: readonly StoragePool[]): string | undefined {
  if (name.kind === 'path') return name.path;
  if (name.kind === 'network') return undefined;
  const target = pools.find((pool) => pool.name === name.pool)?.targetPath;
  return target === undefined ? undefined : posix.join(target, name.volume);
}

/** The group of a name that has no folder. */
function groupOf(name: AbsentName): string {
  if (name.kind === 'path') return posix.dirname(name.path);
  return name.kind === 'volume' ? `pool ${name.pool}` : `over ${name.protocol}`;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
