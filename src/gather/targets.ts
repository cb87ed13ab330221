import { readdir } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Edge, Token } from '../core/use-graph.ts';
import { type Draft, fileNode, pathOf } from './draft.ts';
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
    const path = reference.kind === 'path' ? pathOf(reference) : undefined;
    if (path !== undefined) await draftTarget(edge, path, sight);
    if (reference.kind === 'volume' && !sight.poolNames.has(reference.pool)) {
      sight.draft.miss(...volumeOfNoPool(edge, reference.pool));
    }
  }
}

async function draftTarget(edge: Edge, path: string, sight: TargetSight): Promise<void> {
  const { draft } = sight;
  const state = await draftFile(path, Buffer.from(path), sight);
  if ((state !== 'missing' && state !== 'unreadable') || draft.knows(exactTokens(edge))) return;
  const alike = state === 'missing' ? await entriesAlike(path) : [];
  for (const bytes of alike) await draftFile(bytes.toString(), bytes, sight);
  if (alike.length === 0) draft.miss(...(await unseenImage({ edge, path, state })));
}

/** A file that only has the base name of an absolute path may well be another one. */
function exactTokens({ tokens, reference }: Edge): readonly Token[] {
  return reference.value.startsWith('/') ? tokens.filter((token) => !token.startsWith('name:')) : tokens;
}

async function draftFile(path: string, bytes: Buffer, { draft, files }: TargetSight): Promise<FileIdentity['state']> {
  const identity = await files.identify(path, bytes);
  if (identity.state === 'file') draft.add(identity.entry ?? path, fileNode(path, bytes, identity));
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
