import type { BlindSpot, Reference } from '../core/reference.ts';
import type { Edge } from '../core/use-graph.ts';
import { toEdge } from '../gather/draft.ts';
import { type FileIdentifier, pathTokens } from '../gather/file-identity.ts';
import type { MountTable } from '../util/mounts.ts';
import { readFatFolder } from './fat-folder.ts';
import { aliasesBelow } from './mounted-places.ts';

/** What a reference to a folder covers beyond what lies below it. */
export interface FolderCover {
  readonly edges: readonly Edge[];
  readonly blindSpots: readonly BlindSpot[];
}

/** Tells what folders cover that something shares with a guest. Each folder is looked at once. */
export type FolderReader = (reference: Reference & { readonly kind: 'dir' }, document: string) => FolderCover;

/** What is needed for it. */
export interface FolderSight {
  readonly files: FileIdentifier;
  readonly table: MountTable;
  /** The directories of the pools, without links and detours. */
  readonly poolFolders: readonly string[];
}

/**
 * A share (virtiofs, 9p) shows what is mounted below it, and no link leads out of it. A FAT disk shows what its links lead to
 * as well. Neither names any of that, so the edges are made here.
 */
export function createFolderReader({ files, table, poolFolders }: FolderSight): FolderReader {
  const aliases = new Map<string, readonly Reference[]>();
  const fat = new Map<string, ReturnType<typeof readFatFolder>>();
  const mountsOf = (value: string, evidence: string): readonly Reference[] => {
    const { paths } = files.identify(value);
    const found = paths.flatMap((path) => aliasesBelow(path, poolFolders, table));
    return found.map(({ path, by }) => ({ kind: 'dir', value: path, evidence: `${evidence}, mount ${by}` }));
  };
  return ({ value, evidence, isFat = false }, document) => {
    const path = value.startsWith('/') ? value : `/${value}`;
    const mounted = remembered(aliases, `${path}\n${evidence}`, () => mountsOf(path, evidence));
    const edges = mounted.map((reference) => toEdge(reference, document, files));
    if (!isFat) return { edges, blindSpots: [] };
    const found = remembered(fat, path, () => readFatFolder(path, table));
    const linked = `link in ${path} at ${evidence}`;
    for (const file of found.files) {
      const edge = toEdge({ kind: 'path', value: file, evidence: linked }, document, files);
      edges.push({ ...edge, isRaw: true });
    }
    for (const folder of found.folders) {
      edges.push(toEdge({ kind: 'dir', value: folder, evidence: linked }, document, files));
      for (const reference of mountsOf(folder, linked)) edges.push(toEdge(reference, document, files));
    }
    for (const name of found.names) {
      edges.push({ reference: { kind: 'dir', value: name, evidence: linked }, document, tokens: pathTokens(name) });
    }
    return { edges, blindSpots: found.unseen === undefined ? [] : [unseenFolder(path, found.unseen, document)] };
  };
}

function unseenFolder(path: string, why: string, document: string): BlindSpot {
  return {
    what: `folder ${path}`,
    cause: `${why}; ${document} shows it to its guest as a FAT disk, with all that links in it lead to`,
    remedy: `make it smaller and readable, or take the disk out of the domain`,
    concerns: 'everything',
  };
}

function remembered<T>(known: Map<string, T>, key: string, make: () => T): T {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  return made;
}
