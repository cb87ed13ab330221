import { posix } from 'node:path';
import { decodeVolumeName, identityText } from '../core/identity.ts';
import { nearNames } from '../core/near-names.ts';
import { volumeToken } from '../core/reference-tokens.ts';
import { createResolver, type GraphNode, type Token } from '../core/use-graph.ts';
import { NoMatchError, UsageError } from '../errors.ts';
import { toEdge } from '../gather/draft.ts';
import { type FileIdentity, localFiles, remoteFiles } from '../gather/file-identity.ts';
import type { SeenVolume } from '../gather/pool-nodes.ts';
import type { GatheredGraph, PlacedGraph } from '../gather/use-graph.ts';

/** What somebody asks about: a volume, or a file that no pool holds. */
export interface Subject {
  readonly node: GraphNode;
  readonly seen: SeenVolume | undefined;
}

/** Finds a volume by any of its names. @throws as `findNamed` does. */
export function findVolume(text: string, volumes: readonly SeenVolume[]): Subject {
  const seen = findNamed(text, volumes, (a, b) => a.node === b.node);
  return { node: seen.node, seen };
}

/** A volume that something names and that its pool does not show: nobody knows more of it than its name. */
export function findAbsentVolume(text: string, { graph }: GatheredGraph): Subject | undefined {
  const absent = (graph.absences ?? []).flatMap(({ name }) => (name.kind === 'volume' ? [name] : []));
  const named = absent.filter(({ pool, volume }) => text === volume || text === `${pool}/${volume}`);
  const [only] = named;
  if (only === undefined || named.length > 1) return undefined;
  const { pool, volume } = only;
  const id = `${pool}/${volume}`;
  const tokens = [volumeToken(pool, volume)];
  const node = { id, label: `volume ${id}, which is not there`, tokens, paths: [], isDirectory: false, edges: [] };
  return { node, seen: undefined };
}

/** Something that goes by the names of a volume. */
interface Named {
  readonly volume: { readonly pool: string; readonly name: string };
}

/**
 * Finds the volume of a name, of `POOL/NAME`, or with an image: `PRODUCT VERSION`, or the product alone where there is
 * but one version.
 *
 * @throws NoMatchError; UsageError when several fit, with a list of them.
 */
export function findNamed<T extends Named>(text: string, all: readonly T[], isSame: (a: T, b: T) => boolean): T {
  const found = all.filter(({ volume }) => namesOf(volume).includes(text));
  const [first] = found;
  if (first === undefined) {
    const near = nearNames(
      text,
      all.flatMap(({ volume }) => namesOf(volume)),
    );
    const hint = near.length > 0 ? `did you mean ${near.map((name) => `'${name}'`).join(' or ')}?` : undefined;
    throw new NoMatchError(`no volume is called '${text}'`, {
      hint:
        hint ??
        `see 'virsh vol-list POOL'; a volume that was made by other means appears after 'virsh pool-refresh POOL'`,
    });
  }
  if (found.some((each) => !isSame(each, first))) {
    const list = found
      .map(({ volume }) => `\n  ${volume.pool}/${volume.name}`)
      .sort()
      .join('');
    throw new UsageError(`'${text}' may be any of ${found.length} volumes:${list}`, {
      hint: 'name one as POOL/VOLUME',
    });
  }
  return first;
}

/**
 * Finds the volume or file behind a path, by any of its names. A file that nobody knew yet becomes a node of its own, so
 * that references to a folder above it are found.
 *
 * @throws NoMatchError when nothing is there and nothing is called so.
 */
export async function findPath(path: string, gathered: PlacedGraph): Promise<Subject> {
  const files = gathered.places.isLocal ? localFiles() : remoteFiles();
  const identity = files.identify(path);
  const edge = toEdge({ kind: 'path', value: path, evidence: 'command line' }, 'command line', files);
  const named = createResolver(gathered.graph.nodes).targets(edge);
  const node = bestMatch(posix.resolve(path), named) ?? toNode(path, identity);
  const { roots, nodes } = gathered.graph;
  const isNamed = [...roots, ...nodes].some(({ edges }) =>
    edges.some(({ tokens }) => tokens.some((token) => isSame(token) && edge.tokens.includes(token))),
  );
  if (named.length === 0 && !isNamed && identity.state === 'missing')
    throw new NoMatchError(`'${path}' does not exist, and nothing that was seen names it`);
  return { node, seen: gathered.volumes.find((seen) => seen.node === node) };
}

/** Of a name that leads to nothing, the path is all that there is to compare. */
function isSame(token: Token): boolean {
  return token.startsWith('path:') || token.startsWith('blank:');
}

/** A link and its target are two nodes, and a folder that is a volume stands for what lies in it. */
function bestMatch(path: string, nodes: readonly GraphNode[]): GraphNode | undefined {
  const files = nodes.filter(({ isDirectory }) => !isDirectory);
  return nodes.find(({ paths }) => paths[0] === path) ?? files[0] ?? nodes[0];
}

function toNode(path: string, { tokens, paths, state }: FileIdentity): GraphNode {
  const label = state === 'missing' ? `file ${path}, which is not there` : `file ${path}`;
  return { id: path, label, tokens, paths, isDirectory: state === 'directory', edges: [] };
}

function namesOf({ pool, name }: { readonly pool: string; readonly name: string }): readonly string[] {
  const identity = decodeVolumeName(name);
  const images =
    identity === undefined ? [] : [identityText(identity), `${identity.product}:${identity.version}`, identity.product];
  return [name, `${pool}/${name}`, ...images];
}
