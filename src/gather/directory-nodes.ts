import { readlink } from 'node:fs/promises';
import { posix } from 'node:path';
import { isTrashFolder } from '../core/trash.ts';
import type { Token } from '../core/use-graph.ts';
import { type Draft, type DraftNode, fileNode, toEdge } from './draft.ts';
import type { FileIdentifier, FileIdentity } from './file-identity.ts';
import { leadsTo } from '../usage/leads-to.ts';
import { tooLargeTree, walkTree } from '../usage/tree-walk.ts';
import type { MountTable } from '../util/mounts.ts';
import { unreadableFolder } from './unseen.ts';

/** How many entries of a pool's directory, and of all that is below it, are looked at. */
const MAX_ENTRIES = 1_000_000;

/** How the entries of a directory become nodes. */
export interface TreeSight {
  readonly draft: Draft;
  readonly files: FileIdentifier;
  /** Name of the storage pool that the directory belongs to. */
  readonly pool: string;
  readonly table: MountTable | undefined;
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
 * Drafts a node for every file in a directory, and for the images below it and below the folders that links lead to. Links to
 * files count.
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
  const folders = top.filter(({ identity }) => identity.state === 'directory').map(({ bytes }) => bytes);
  const { draft, files, table } = sight;
  const tree = await walkTree(Buffer.from(directory), folders, { table, maxEntries: MAX_ENTRIES - names.length });
  for (const bytes of tree.files) {
    const path = bytes.toString();
    const entry = { bytes, path, name: posix.basename(path), identity: files.identify(path, bytes) };
    await draftEntry(entry, [], sight);
  }
  for (const { path, error } of tree.unreadable) {
    draft.miss(...unreadableFolder(path.toString(), posix.basename(path.toString()), error));
  }
  if (tree.isCut) draft.miss(tooLargeTree(sight.pool, directory, MAX_ENTRIES));
  return nodes;
}

function identifyEntries(folder: Buffer, names: readonly Buffer[], files: FileIdentifier): readonly Entry[] {
  const entries = names.map((nameBytes) => {
    const bytes = Buffer.concat([folder, Buffer.from('/'), nameBytes]);
    const path = bytes.toString();
    return { bytes, path, name: nameBytes.toString(), identity: files.identify(path, bytes) };
  });
  // Files in a trash need nothing, and are only ever named by their whole path.
  return entries.filter(({ name, identity }) => identity.state !== 'directory' || !isTrashFolder(name));
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
