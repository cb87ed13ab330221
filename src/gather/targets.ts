import { lstatSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { posix } from 'node:path';
import { networkToken, volumeToken } from '../core/reference-tokens.ts';
import type { Edge, Token } from '../core/use-graph.ts';
import { isUnlike, mayStandOnOthers } from '../usage/absence.ts';
import { type Draft, pathOf } from './draft.ts';
import type { FileIdentifier, FileIdentity } from './file-identity.ts';
import { leadsTo } from '../usage/leads-to.ts';
import { unreadableImage } from './unseen.ts';

/** What is needed to find what references lead to. */
export interface TargetSight {
  readonly draft: Draft;
  readonly files: FileIdentifier;
  readonly isLocal: boolean;
  readonly poolNames: ReadonlySet<string>;
  /** The pools of which nobody knows what is in them; each is a blind spot of its own. */
  readonly unseenPools: ReadonlySet<string>;
}

/**
 * Drafts a node for every file that references lead to, in or out of pools, and notes every name that leads to nothing. A
 * file that is known by another directory entry gets a node of its own: relative names in its header start from the directory by
 * which it is opened.
 */
export async function draftTargets(edges: readonly Edge[], sight: TargetSight): Promise<void> {
  for (const edge of edges) {
    switch (edge.reference.kind) {
      case 'path':
        await draftPath(edge, sight);
        break;
      case 'volume':
        findVolume(edge, edge.reference, sight);
        break;
      case 'network':
        findNetworkName(edge, edge.reference, sight);
        break;
      case 'dir':
      case 'text':
        break;
    }
  }
}

async function draftPath(edge: Edge, sight: TargetSight): Promise<void> {
  const { draft } = sight;
  const path = pathOf(edge.reference);
  if (path === undefined || draft.hasFile(path)) return;
  const state = draftFile(path, Buffer.from(path), sight);
  if (state === 'file') return;
  if (state === 'directory' || state === 'other') {
    if (!isLink(path) && !isUnlike(edge, { hasMagic: false, isEmpty: false })) return;
    const cause = isLink(path) ? 'its links lead in a circle' : 'what is there is no image, as it is said to be';
    if (mayExist(path)) draft.missName({ kind: 'path', path }, edge, cause);
    return;
  }
  if (draft.knows(exactTokens(edge))) return;
  if (state === 'unreadable') {
    draft.miss(...unreadableImage(edge, path));
    return;
  }
  const alike = await entriesAlike(path);
  for (const bytes of alike) draftFile(bytes.toString(), bytes, sight);
  if (alike.length > 0) return;
  const end = leadsTo(path);
  const way = end === posix.normalize(path) ? '' : ` (${path} leads there)`;
  draft.missName({ kind: 'path', path: end }, edge, `nothing is there${way}`);
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

/** No system call takes a longer path or a longer name (limits.h), so nobody ever had it open. */
function mayExist(path: string): boolean {
  return path.length < 4096 && path.split('/').every((name) => name.length < 256);
}

/** A volume that its pool does not show, or no pool: nobody can tell where its file is, and what that stands on. */
function findVolume(
  edge: Edge,
  { pool, value }: { readonly pool: string; readonly value: string },
  { draft, poolNames, unseenPools }: TargetSight,
): void {
  if (unseenPools.has(pool) || draft.knows([volumeToken(pool, value)])) return;
  const cause = poolNames.has(pool) ? 'its pool does not show it' : 'there is no such pool';
  draft.missName({ kind: 'volume', pool, volume: value }, edge, cause);
}

/** Notes a name on a network as absent, if another image may stand behind it. */
function findNetworkName(
  edge: Edge,
  { protocol, value }: { readonly protocol: string; readonly value: string },
  { draft }: TargetSight,
): void {
  if (edge.formats?.some(mayStandOnOthers) !== true || draft.knows([networkToken(protocol, value)])) return;
  draft.missName({ kind: 'network', protocol, name: value }, edge, 'no pool of this host shows it');
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
