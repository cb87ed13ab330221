import { readlink } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Token } from '../core/use-graph.ts';
import { type Draft, type DraftNode, fileNode } from './draft.ts';
import type { FileIdentifier, FileIdentity } from './file-identity.ts';
import { danglingLink, unreadableFolder } from './unseen.ts';
import { tooLargeTree, walkTree } from '../usage/tree-walk.ts';
import type { MountTable } from '../util/mounts.ts';

/** How many entries of a pool's directory, and of all that is below it, are looked at. */
const MAX_ENTRIES = 1_000_000;

/** How the entries of a directory become nodes. */
export interface TreeSight {
  readonly draft: Draft;
  readonly files: FileIdentifier;
  /** Whose directory it is. */
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
  for (const entry of top) nodes.set(entry.name, await draftEntry(entry, sight.tokensOf(entry.name), sight.draft));
  const folders = top.filter(({ identity }) => identity.state === 'directory').map(({ bytes }) => bytes);
  const { draft, files, table } = sight;
  const tree = await walkTree(Buffer.from(directory), folders, { table, maxEntries: MAX_ENTRIES - names.length });
  for (const bytes of tree.files) {
    const path = bytes.toString();
    const entry = { bytes, path, name: posix.basename(path), identity: files.identify(path, bytes) };
    await draftEntry(entry, [], draft);
  }
  for (const { path, error } of tree.unreadable) {
    draft.miss(...unreadableFolder(path.toString(), posix.basename(path.toString()), error));
  }
  if (tree.isCut) draft.miss(tooLargeTree(sight.pool, directory, MAX_ENTRIES));
  return nodes;
}

function identifyEntries(folder: Buffer, names: readonly Buffer[], files: FileIdentifier): readonly Entry[] {
  return names.map((nameBytes) => {
    const bytes = Buffer.concat([folder, Buffer.from('/'), nameBytes]);
    const path = bytes.toString();
    return { bytes, path, name: nameBytes.toString(), identity: files.identify(path, bytes) };
  });
}

async function draftEntry(entry: Entry, tokens: readonly Token[], draft: Draft): Promise<DraftNode | undefined> {
  const { bytes, path, identity } = entry;
  if (identity.state === 'missing') await missDangling(entry, draft);
  if (identity.state !== 'file' && identity.state !== 'unreadable') return undefined;
  const node = fileNode(path, bytes, identity);
  node.tokens.push(...tokens);
  return draft.add(identity.entry ?? node.id, node);
}

/** A link whose target is on a file system that is not mounted leads to an image that cannot be seen. */
async function missDangling({ bytes, path }: Entry, draft: Draft): Promise<void> {
  const target = await readlink(bytes).catch(() => undefined);
  if (target !== undefined) draft.miss(...(await danglingLink(path, posix.resolve(posix.dirname(path), target))));
}
