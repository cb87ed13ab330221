import { claimReference, type Claims } from '../core/claim.ts';
import type { Progress } from '../core/ports.ts';
import { track } from '../core/track.ts';
import type { Edge, GraphRoot, UseGraph } from '../core/use-graph.ts';
import type { QemuImgInfo } from '../image-format/qemu-img.ts';
import type { Connection } from '../libvirt/connection.ts';
import { createDocumentReader } from '../libvirt/xml/document-reader.ts';
import { listPools, type StoragePool } from '../libvirt/storage-pool.ts';
import type { Sharing } from '../usage/deletion-right.ts';
import { findHindrances, findPlaces, type Places } from '../usage/places.ts';
import { Draft, type DraftNode, linkSameFiles, toEdge } from './draft.ts';
import { type FileIdentifier, localFiles, remoteFiles } from './file-identity.ts';
import { type FoundReferences, type ImageSight, readHeader, readVolumeXml, readXml, volumesOf } from './image-edges.ts';
import { type Inventory, listInventory } from './inventory.ts';
import { openFileRoots } from './open-files.ts';
import { draftPool, type SeenVolume } from './pool-nodes.ts';
import { draftTargets } from './targets.ts';

/** The use graph, and the volumes of all active pools with their nodes. */
export interface GatheredGraph {
  readonly graph: UseGraph;
  readonly volumes: readonly SeenVolume[];
  readonly pools: readonly StoragePool[];
}

/** What was gathered through a connection, and where its pools are. */
export interface PlacedGraph extends GatheredGraph {
  readonly places: Places;
}

export interface GraphSight {
  readonly connection: Connection;
  readonly qemuImg: QemuImgInfo;
  /** Of poolkeeper itself, which is no user of the files that it reads. `undefined`: do not ask the kernel who holds files. */
  readonly ownPid: number | undefined;
  /** Reads leases and pins. Called before libvirt is asked: a lease that has ended by then left its domain to be seen. */
  readClaims(this: void): Promise<Claims>;
  /** The pools that something may be deleted from, by name; without it all. */
  readonly judged?: ReadonlySet<string> | undefined;
  /** What the configuration says of the storage of pools. */
  readonly sharing?: Sharing | undefined;
  /** Where to show that it takes long. */
  readonly progress?: Progress;
}

/** How images are read, and on which host. */
export interface HostSight extends ImageSight {
  /** Whether the paths in the inventory are paths of this host. */
  readonly isLocal: boolean;
  /** As in `GraphSight`. */
  readonly ownPid?: number | undefined;
  /** Leases and pins, by default none. */
  readonly claims?: Claims;
}

interface Sight extends ImageSight {
  readonly files: FileIdentifier;
  readonly isLocal: boolean;
  readonly draft: Draft;
  readonly poolNames: ReadonlySet<string>;
}

const NO_CLAIMS: Claims = { claims: [], blindSpots: [] };

/** How many images are read at the same time. */
const READERS = 16;

/**
 * Gathers who needs what on one libvirt host: every domain's documents, every volume of every pool, and every image that
 * any of them reaches, link by link. What cannot be seen is listed as blind spots, never left out in silence.
 *
 * @throws LibvirtError when domains or pools cannot be listed at all.
 */
export async function gatherUseGraph(sight: GraphSight): Promise<PlacedGraph> {
  if (sight.progress === undefined) return gather(sight);
  return track(sight.progress, { label: 'look at everything that may need an image' }, () => gather(sight));
}

async function gather({ connection, qemuImg, ownPid, readClaims, judged, sharing }: GraphSight): Promise<PlacedGraph> {
  const claims = await readClaims();
  const places = await findPlaces(connection, await listPools(connection), judged);
  const { isLocal } = places;
  const inventory = await listInventory(connection, isLocal);
  const drawn = await drawGraph(inventory, { qemuImg, readVolume: volumesOf(connection), isLocal, ownPid, claims });
  const volumes = drawn.volumes.map(({ volume }) => volume);
  const hindrances = await findHindrances(places, { pools: drawn.pools, volumes, judged, sharing });
  const graph = { ...drawn.graph, blindSpots: [...drawn.graph.blindSpots, ...hindrances] };
  return { ...drawn, graph, places };
}

/** Draws the graph of what was listed, and reads every image on the way. */
export async function drawGraph(
  inventory: Inventory,
  { isLocal, ownPid, claims = NO_CLAIMS, ...images }: HostSight,
): Promise<GatheredGraph> {
  const draft = new Draft();
  const pools = inventory.pools.map(({ pool }) => pool);
  const poolNames = new Set(pools.map(({ name }) => name));
  const sight: Sight = { ...images, isLocal, files: isLocal ? localFiles() : remoteFiles(), draft, poolNames };
  const volumes: SeenVolume[] = [];
  for (const listing of inventory.pools) volumes.push(...(await draftPool(listing, draft, sight)));
  draft.miss(...inventory.blindSpots, ...claims.blindSpots);
  const holders =
    isLocal && ownPid !== undefined ? openFileRoots(sight.files, poolFolders(pools, sight.files), ownPid) : [];
  const roots = [
    ...claimRoots(claims, pools, sight),
    ...domainRoots(inventory, sight),
    ...poolRoots(pools, sight),
    ...holders,
  ];
  for (const { volume, node } of volumes) {
    addEdges(node, readVolumeXml(`${node.label}, XML`, volume.xml), sight);
  }
  for (const root of roots) await draftTargets(root.edges, sight);
  await exploreImages(sight);
  await linkSameFiles(draft.nodes);
  const { nodes, blindSpots, absences } = draft;
  return { graph: { nodes, roots, blindSpots, absences }, volumes, pools };
}

/** Claims are written down by the pool's UUID, since names of pools change. One on a pool that is no more keeps nothing. */
function claimRoots({ claims }: Claims, pools: readonly StoragePool[], { files }: Sight): readonly GraphRoot[] {
  return claims.flatMap((claim) => {
    const pool = pools.find(({ uuid }) => uuid.toLowerCase() === claim.poolUuid);
    if (pool === undefined) return [];
    const edge = toEdge(claimReference(claim, pool.name), claim.document, files);
    return [{ label: claim.label, kind: claim.kind, edges: [edge], isClaim: true }];
  });
}

function domainRoots({ domains }: Inventory, sight: Sight): readonly GraphRoot[] {
  const read = createDocumentReader();
  return domains.map(({ name, documents }) => {
    const edges = documents.flatMap((document) => edgesOf(readXml(document.name, document.xml, read), sight));
    return { label: `domain ${name}`, kind: 'domain', edges };
  });
}

/** A pool may itself stand on a volume of another pool: a physical volume, a disk image. */
function poolRoots(pools: readonly StoragePool[], sight: Sight): readonly GraphRoot[] {
  return pools.map(({ name, xml }) => {
    const label = `storage pool ${name}`;
    return { label, kind: 'pool', edges: edgesOf(readXml(`${label}, XML`, xml), sight) };
  });
}

/** The directories of the pools, as the kernel names them. */
function poolFolders(pools: readonly StoragePool[], files: FileIdentifier): readonly string[] {
  const targets = pools.flatMap(({ targetPath }) => targetPath ?? []);
  return [...new Set(targets.flatMap((target) => files.identify(target).paths))];
}

function addEdges(node: DraftNode, found: FoundReferences, sight: Sight): readonly Edge[] {
  const edges = edgesOf(found, sight);
  node.edges.push(...edges);
  return edges;
}

function edgesOf(found: FoundReferences, { draft, files }: Sight): readonly Edge[] {
  const { document, rawImages, fixedChains, references } = found;
  draft.miss(...found.blindSpots);
  return references.map((reference) => {
    const edge = toEdge(reference, document, files);
    const isRaw = rawImages.has(reference.value);
    const isFixed = fixedChains?.has(reference.value) === true;
    return isRaw || isFixed ? { ...edge, ...(isRaw && { isRaw }), ...(isFixed && { isFixed }) } : edge;
  });
}

/** Reads the header of every image in the draft; each may add images that were not known before. */
async function exploreImages(sight: Sight): Promise<void> {
  const { nodes } = sight.draft;
  let next = 0;
  const take = (): DraftNode | undefined => (next < nodes.length ? nodes[next++] : undefined);
  const explore = async (): Promise<void> => {
    for (let node = take(); node !== undefined; node = take()) {
      if (node.isDirectory) continue;
      await draftTargets(node.edges, sight);
      await draftTargets(addEdges(node, await readHeader(node, sight), sight), sight);
    }
  };
  // A reader that finds the list exhausted may be overtaken by another that adds to it, hence the repetition.
  while (next < nodes.length) await Promise.all(Array.from({ length: READERS }, explore));
}
