import { lstat, readdir, readlink } from 'node:fs/promises';
import type { Token } from '../core/use-graph.ts';
import { type Draft, type DraftNode, fileNode, toEdge } from './draft.ts';
import type { FileIdentifier, FileIdentity } from './file-identity.ts';
import { leadsTo } from '../usage/leads-to.ts';
import { unreadableFolder } from './unseen.ts';

/** How the entries of a directory become nodes. */
export interface TreeSight {
  readonly draft: Draft;
  readonly files: FileIdentifier;
  /** More tokens by which an entry directly in the directory goes. */
  tokensOf(name: string): readonly Token[];
}

/** An entry of a directory, byte by byte and as text. */
interface Entry {
  readonly bytes: Buffer;
  readonly path: string;
  readonly name: string;
  readonly identity: FileIdentity;
}

/**
 * Drafts a node for every file in a directory and below it. Links to files count, links to directories are not followed.
 *
 * @param names the names in the directory itself.
 * @returns the nodes of the directory's own entries by name, `undefined` for those that are no files.
 */
export async function draftTree(
  directory: string,
  names: readonly Buffer[],
  sight: TreeSight,
): Promise<ReadonlyMap<string, DraftNode | undefined>> {
  const top = identifyEntries(Buffer.from(directory), names, sight.files);
  const nodes = new Map<string, DraftNode | undefined>();
  for (const entry of top) nodes.set(entry.name, await draftEntry(entry, sight.tokensOf(entry.name), sight));
  const waiting = [...top];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (next.identity.state !== 'directory') continue;
    const below = identifyEntries(next.bytes, await readFolder(next, sight.draft), sight.files);
    for (const entry of below) await draftEntry(entry, [], sight);
    waiting.push(...below);
  }
  return nodes;
}

function identifyEntries(folder: Buffer, names: readonly Buffer[], files: FileIdentifier): readonly Entry[] {
  return names.map((nameBytes) => {
    const bytes = Buffer.concat([folder, Buffer.from('/'), nameBytes]);
    const path = bytes.toString();
    return { bytes, path, name: nameBytes.toString(), identity: files.identify(path, bytes) };
  });
}

async function draftEntry(entry: Entry, tokens: readonly Token[], sight: TreeSight): Promise<DraftNode | undefined> {
  const { bytes, path, identity } = entry;
  if (identity.state === 'missing') await missDangling(entry, sight);
  if (identity.state !== 'file' && identity.state !== 'unreadable') return undefined;
  const node = fileNode(path, bytes, identity);
  node.tokens.push(...tokens);
  return sight.draft.add(identity.entry ?? node.id, node);
}

/** A link that leads to nothing leads to an image that cannot be seen: it may lie on a file system that is not mounted. */
async function missDangling({ bytes, path }: Entry, { draft, files }: TreeSight): Promise<void> {
  const value = await readlink(bytes).catch(() => undefined);
  if (value === undefined) return;
  const end = leadsTo(path);
  const edge = toEdge({ kind: 'path', value: end, evidence: 'symbolic link' }, `link ${path}`, files);
  draft.missName({ kind: 'path', path: end }, { ...edge, formats: ['auto'] }, `link ${path} leads to nothing`);
}

async function readFolder({ bytes, path, name }: Entry, draft: Draft): Promise<readonly Buffer[]> {
  try {
    return (await lstat(bytes)).isDirectory() ? await readdir(bytes, { encoding: 'buffer' }) : [];
  } catch (error) {
    draft.miss(...unreadableFolder(path, name, error));
    return [];
  }
}
