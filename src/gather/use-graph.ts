import type { BlindSpot } from '../core/reference.ts';
import type { Edge, GraphRoot, UseGraph } from '../core/use-graph.ts';
import type { QemuImgInfo } from '../image-format/qemu-img.ts';
import type { Connection } from '../libvirt/connection.ts';
import { listDomainDocuments } from '../libvirt/domain.ts';
import { listPools, type StoragePool } from '../libvirt/storage-pool.ts';
import { Draft, type DraftNode, linkSameFiles, toEdge } from './draft.ts';
import { type FileIdentifier, type FileIdentity, localFiles, remoteFiles } from './file-identity.ts';
import { type FoundReferences, readHeader, readXml } from './image-edges.ts';
import { draftPool, type SeenVolume } from './pool-nodes.ts';
import { missingImage } from './unseen.ts';

/** The use graph, and the volumes of all active pools with their nodes. */
export interface GatheredGraph {
  readonly graph: UseGraph;
  readonly volumes: readonly SeenVolume[];
  readonly pools: readonly StoragePool[];
}

export interface GraphSight {
  readonly connection: Connection;
  readonly qemuImg: QemuImgInfo;
}

interface Sight extends GraphSight {
  readonly files: FileIdentifier;
  readonly isLocal: boolean;
  readonly draft: Draft;
}

/** How many images are read at the same time. */
const READERS = 16;

/**
 * Gathers who needs what on one libvirt host: every domain's documents, every volume of every pool, and every image that
 * any of them reaches, link by link. What cannot be seen is listed as blind spots, never left out in silence.
 *
 * @throws LibvirtError when domains or pools cannot be listed at all.
 */
export async function gatherUseGraph({ connection, qemuImg }: GraphSight): Promise<GatheredGraph> {
  const isLocal = isLocalUri(connection.uri);
  const sight: Sight = {
    connection,
    qemuImg,
    isLocal,
    files: isLocal ? localFiles() : remoteFiles(),
    draft: new Draft(),
  };
  const pools = await listPools(connection);
  const volumes: SeenVolume[] = [];
  for (const pool of pools) volumes.push(...(await draftPool(pool, sight.draft, sight)));
  const roots = [...(await domainRoots(sight)), ...(await poolRoots(pools, sight))];
  for (const { volume, node } of volumes) {
    await addEdges(node, readXml(`${node.label}, XML`, volume.xml), sight);
  }
  for (const root of roots) await reachOut(root.edges, sight);
  await exploreImages(sight);
  linkSameFiles(sight.draft.nodes);
  return { graph: { nodes: sight.draft.nodes, roots, blindSpots: sight.draft.blindSpots }, volumes, pools };
}

/** A URI without a host name, as in `qemu:///system` or `qemu+unix:///session?socket=…`, is about this host. */
export function isLocalUri(uri: string): boolean {
  return /^[a-z0-9+-]+:\/\/\//i.test(uri);
}

async function domainRoots(sight: Sight): Promise<readonly GraphRoot[]> {
  const { domains, blindSpots } = await listDomainDocuments(sight.connection);
  sight.draft.blindSpots.push(...blindSpots);
  const roots: GraphRoot[] = [];
  for (const domain of domains) {
    const label = `domain ${domain.name}`;
    const edges: Edge[] = [];
    for (const { name, xml } of domain.documents) edges.push(...(await edgesOf(readXml(name, xml), sight)));
    roots.push({ label, edges });
  }
  return roots;
}

/** A pool may itself stand on a volume of another pool: a physical volume, a disk image. */
async function poolRoots(pools: readonly StoragePool[], sight: Sight): Promise<readonly GraphRoot[]> {
  const roots: GraphRoot[] = [];
  for (const pool of pools) {
    const label = `storage pool ${pool.name}`;
    roots.push({ label, edges: await edgesOf(readXml(`${label}, XML`, pool.xml), sight) });
  }
  return roots;
}

async function addEdges(node: DraftNode, found: FoundReferences, sight: Sight): Promise<readonly Edge[]> {
  const edges = await edgesOf(found, sight);
  node.edges.push(...edges);
  return edges;
}

async function edgesOf(found: FoundReferences, sight: Sight): Promise<readonly Edge[]> {
  sight.draft.blindSpots.push(...found.blindSpots);
  return Promise.all(found.references.map((reference) => toEdge(reference, found.document, sight.files)));
}

/** Reads the header of every image in the draft; each may add images that were not known before. */
async function exploreImages(sight: Sight): Promise<void> {
  const { nodes } = sight.draft;
  let next = 0;
  const take = (): DraftNode | undefined => (next < nodes.length ? nodes[next++] : undefined);
  const explore = async (): Promise<void> => {
    for (let node = take(); node !== undefined; node = take()) {
      if (node.isDirectory) continue;
      await reachOut(node.edges, sight);
      await reachOut(await addEdges(node, await readHeader(node, sight), sight), sight);
    }
  };
  // A reader that finds the list exhausted may be overtaken by another that adds to it, hence the repetition.
  while (next < nodes.length) await Promise.all(Array.from({ length: READERS }, explore));
}

/** Adds the files that references lead to, unless they are known by another name already. */
async function reachOut(edges: readonly Edge[], sight: Sight): Promise<void> {
  for (const edge of edges) {
    const { kind, value } = edge.reference;
    if (kind !== 'path' || sight.draft.knows(edge.tokens)) continue;
    const identity = value.startsWith('/') ? await sight.files.identify(value) : undefined;
    if (identity?.state === 'file') addFile(value, identity, sight.draft);
    else sight.draft.blindSpots.push(...(await unseen(edge, identity, sight)));
  }
}

function addFile(path: string, identity: FileIdentity, draft: Draft): void {
  draft.add(identity.entry ?? path, {
    id: path,
    label: `file ${path}`,
    tokens: [...identity.tokens],
    paths: [...identity.paths],
    isDirectory: false,
    edges: [],
    content: { file: path, volume: undefined },
  });
}

async function unseen(edge: Edge, identity: FileIdentity | undefined, sight: Sight): Promise<readonly BlindSpot[]> {
  const state = identity?.state ?? 'missing';
  return state === 'missing' || state === 'unreadable' ? missingImage(edge, state, sight.files) : [];
}
