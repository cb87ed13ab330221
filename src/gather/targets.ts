import { readdir } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Edge, Token } from '../core/use-graph.ts';
import { type Draft, pathOf } from './draft.ts';
import type { FileIdentifier, FileIdentity } from './file-identity.ts';
import { unseenImage, volumeOfNoPool } from './unseen.ts';

/** What is needed to find what references lead to. */
export interface TargetSight {
  readonly draft: Draft;
  readonly files: FileIdentifier;
  readonly poolNames: ReadonlySet<string>;
}

/**
 * Drafts a node for every file that references lead to, in or out of pools. One that is known by another directory entry
 * gets a node of its own: relative names in its header start from the directory by which it is opened.
 */
export async function draftTargets(edges: readonly Edge[], sight: TargetSight): Promise<void> {
  for (const edge of edges) {
    const { reference } = edge;
    const unseen = draftTarget(edge, sight);
    if (unseen !== undefined) await missTarget(unseen, sight);
    if (reference.kind === 'volume' && !sight.poolNames.has(reference.pool)) {
      sight.draft.miss(...volumeOfNoPool(edge, reference.pool));
    }
  }
}

/** A path that leads to nothing that could be seen. */
interface Unseen {
  readonly edge: Edge;
  readonly path: string;
  readonly state: 'missing' | 'unreadable';
}

function draftTarget(edge: Edge, sight: TargetSight): Unseen | undefined {
  const path = edge.reference.kind === 'path' ? pathOf(edge.reference) : undefined;
  if (path === undefined || sight.draft.hasFile(path)) return undefined;
  const state = draftFile(path, Buffer.from(path), sight);
  if ((state !== 'missing' && state !== 'unreadable') || sight.draft.knows(exactTokens(edge))) return undefined;
  return { edge, path, state };
}

async function missTarget({ edge, path, state }: Unseen, sight: TargetSight): Promise<void> {
  if (state === 'missing') sight.draft.missName({ kind: 'path', path }, edge);
  const alike = state === 'missing' ? await entriesAlike(path) : [];
  for (const bytes of alike) draftFile(bytes.toString(), bytes, sight);
  if (alike.length === 0) sight.draft.miss(...(await unseenImage({ edge, path, state })));
}

/** A file that only has the base name of an absolute path may well be another one. */
function exactTokens({ tokens, reference }: Edge): readonly Token[] {
  return reference.value.startsWith('/') ? tokens.filter((token) => !token.startsWith('name:')) : tokens;
}

function draftFile(path: string, bytes: Buffer, { draft, files }: TargetSight): FileIdentity['state'] {
  const identity = files.identify(path, bytes);
  if (identity.state === 'file') draft.addFile(path, bytes, identity);
  return identity.state;
}

/**
 * The files that a path may mean although it is not quite theirs: XML parsers return a blank for a line break or a tab,
 * and what is not UTF-8 becomes U+FFFD.
 */
async function entriesAlike(path: string): Promise<readonly Buffer[]> {
  if (!/[\s\uFFFD]/u.test(posix.basename(path))) return [];
  const folder = posix.dirname(path);
  const names = await readdir(folder, { encoding: 'buffer' }).catch(() => []);
  const wanted = blankName(posix.basename(path));
  return names
    .filter((name) => blankName(name.toString()) === wanted)
    .map((name) => Buffer.concat([Buffer.from(`${folder}/`), name]));
}

function blankName(name: string): string {
  return name.replaceAll(/\s+/g, ' ');
}
