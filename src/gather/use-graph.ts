import { posix } from 'node:path';
import { claimReference, type Claims } from '../core/claim.ts';
import type { Progress } from '../core/ports.ts';
import { track } from '../core/track.ts';
import { createResolver, type Edge, type GraphRoot, type UseGraph } from '../core/use-graph.ts';
import type { QemuImgInfo } from '../image-format/qemu-img.ts';
import type { Connection } from '../libvirt/connection.ts';
import { createDocumentReader } from '../libvirt/xml/document-reader.ts';
import { isLocalUri } from '../libvirt/local-uri.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import { RawReferences } from '../usage/raw-references.ts';
import { Draft, type DraftNode, linkSameFiles, toEdge } from './draft.ts';
import { type FileIdentifier, localFiles, pathTokens, remoteFiles } from './file-identity.ts';
import { type FoundReferences, type ImageSight, readHeader, readVolumeXml, readXml, volumesOf } from './image-edges.ts';
import { type Inventory, listInventory } from './inventory.ts';
import { openFileRoots } from './open-files.ts';
import { draftPool, type SeenVolume } from './pool-nodes.ts';
import { draftTargets, type TargetSight } from './targets.ts';
import { circularChains, type DraftRoot, type Explored, judgeAbsences, missUnlikeImages } from './absent-images.ts';

/** The use graph, and the volumes of all active pools with their nodes. */
export interface GatheredGraph {
  readonly graph: UseGraph;
  readonly volumes: readonly SeenVolume[];
  readonly pools: readonly StoragePool[];
}

export interface GraphSight {
  readonly connection: Connection;
  readonly qemuImg: QemuImgInfo;
  /** Of poolkeeper itself, which is no user of the files that it reads. `undefined`: do not ask the kernel who holds files. */
  readonly ownPid: number | undefined;
  /** Reads leases and pins. Called before libvirt is asked: a lease that has ended by then left its domain to be seen. */
  readClaims(this: void): Promise<Claims>;
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
  /** The names that an administrator has answered for, as `absenceKey` gives them. */
  readonly forgotten?: ReadonlySet<string> | undefined;
}

type Sight = ImageSight & TargetSight;

const NO_CLAIMS: Claims = { claims: [], blindSpots: [] };

/** How many images are read at the same time. */
const READERS = 16;

/**
 * Gathers who needs what on one libvirt host: every domain's documents, every volume of every pool, and every image that
 * any of them reaches, link by link. What cannot be seen is listed as blind spots, never left out in silence.
 *
 * @throws LibvirtError when domains or pools cannot be listed at all.
 */
export async function gatherUseGraph(sight: GraphSight): Promise<GatheredGraph> {
  if (sight.progress === undefined) return gather(sight);
  return track(sight.progress, { label: 'look at everything that may need an image' }, () => gather(sight));
}

async function gather({ connection, qemuImg, ownPid, readClaims }: GraphSight): Promise<GatheredGraph> {
  const claims = await readClaims();
  const isLocal = isLocalUri(connection.uri);
  const inventory = await listInventory(connection, isLocal);
  const forgotten = claims.forgotten?.get(connection.uri);
  return drawGraph(inventory, { qemuImg, readVolume: volumesOf(connection), isLocal, ownPid, claims, forgotten });
}

/** Draws the graph of what was listed, and reads every image on the way. */
export async function drawGraph(
  inventory: Inventory,
  { isLocal, ownPid, claims = NO_CLAIMS, forgotten = new Set(), ...images }: HostSight,
): Promise<GatheredGraph> {
  const draft = new Draft();
  const pools = inventory.pools.map(({ pool }) => pool);
  const poolNames = new Set(pools.map(({ name }) => name));
  const unseenPools = new Set(inventory.pools.flatMap(({ pool, isUnseen }) => (isUnseen === true ? [pool.name] : [])));
  const files = isLocal ? localFiles() : remoteFiles();
  const sight: Sight = { ...images, isLocal, files, draft, poolNames, unseenPools };
  const volumes: SeenVolume[] = [];
  for (const listing of inventory.pools) volumes.push(...(await draftPool(listing, draft, sight)));
  draft.miss(...inventory.blindSpots, ...claims.blindSpots);
  const holders =
    isLocal && ownPid !== undefined ? openFileRoots(sight.files, poolFolders(pools, sight.files), ownPid) : [];
  const domains = domainRoots(inventory, sight);
  const roots = [...claimRoots(claims, pools, sight), ...domains, ...poolRoots(pools, sight), ...holders];
  for (const root of roots) await draftTargets(root.edges, sight);
  const explored = await exploreImages(sight, domains, volumes);
  await linkSameFiles(draft.nodes);
  missUnlikeImages([...domains.flatMap(({ edges }) => edges), ...explored.headers.values()].flat(), explored, sight);
  draft.miss(...circularChains(explored));
  const absences = judgeAbsences(draft, domains, { explored, forgotten });
  const { nodes, blindSpots } = draft;
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

function domainRoots({ domains }: Inventory, sight: Sight): readonly DraftRoot[] {
  const read = createDocumentReader();
  return domains.map(({ name, documents }) => {
    const edges = documents.flatMap(({ name: document, xml, isHistorical }) => {
      const found = edgesOf(readXml(document, xml, read), sight);
      return isHistorical === true ? found.map((edge) => ({ ...edge, isHistorical })) : found;
    });
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

function edgesOf(found: FoundReferences, { draft, files }: Sight): Edge[] {
  const { document, rawImages, imageFormats, fixedChains, references } = found;
  draft.miss(...found.blindSpots);
  return references.map((reference) => {
    const edge = toEdge(reference, document, files);
    const isRaw = rawImages.has(reference.value);
    const isFixed = fixedChains?.has(reference.value) === true;
    const formats = imageFormats.get(reference.value);
    if (!isRaw && !isFixed && formats === undefined) return edge;
    return { ...edge, ...(isRaw && { isRaw }), ...(isFixed && { isFixed }), ...(formats && { formats }) };
  });
}

/**
 * Reads the header of every image in the draft; each may add images that were not known before. One that everybody opens as raw
 * bytes is not read, since nobody follows what a guest wrote into it; a volume is, but only for what it says of other volumes.
 */
async function exploreImages(
  sight: Sight,
  domains: readonly DraftRoot[],
  volumes: readonly SeenVolume[],
): Promise<Explored> {
  const { nodes } = sight.draft;
  const explored: Explored = { headers: new Map(), contents: new Map() };
  const described = new Map<DraftNode, SeenVolume[]>();
  for (const seen of volumes) described.set(seen.node, [...(described.get(seen.node) ?? []), seen]);
  const raw = new RawReferences();
  for (const { edges } of domains) raw.note(edges);
  const waiting: DraftNode[] = [];
  const read = async (node: DraftNode): Promise<void> => {
    for (const { volume } of described.get(node) ?? [])
      addEdges(node, readVolumeXml(`${node.label}, XML`, volume.xml), sight);
    await draftTargets(node.edges, sight);
    const header = await readHeader(node, sight);
    const edges = addEdges(node, header, sight);
    raw.note(edges);
    explored.headers.set(node, edges);
    explored.contents.set(node, header);
    await draftTargets(edges, sight);
  };
  let next = 0;
  const explore = async (): Promise<void> => {
    for (let node = nodes[next]; node !== undefined; node = nodes[next]) {
      next += 1;
      if (node.isDirectory) await describeDirectory(node, described.get(node) ?? [], sight);
      else if (raw.isOnlyRaw(node)) waiting.push(node);
      else await read(node);
    }
  };
  for (;;) {
    // A reader that finds the list exhausted may be overtaken by another that adds to it, hence the repetition.
    while (next < nodes.length) await Promise.all(Array.from({ length: READERS }, explore));
    if (waiting.length === 0) break;
    const resolver = raw.texts.length === 0 ? undefined : createResolver(nodes);
    const inText = new Set(raw.texts.flatMap((edge) => resolver?.targets(edge) ?? []));
    const others = waiting.filter((node) => !raw.isOnlyRaw(node) || inText.has(node));
    if (others.length === 0) break;
    for (const node of others) {
      waiting.splice(waiting.indexOf(node), 1);
      await read(node);
    }
  }
  for (const node of waiting) await readGuestHeader(node, described.get(node) ?? [], sight);
  return explored;
}

/** What libvirt says of a volume that is a directory: it has no header. */
async function describeDirectory(node: DraftNode, seen: readonly SeenVolume[], sight: Sight): Promise<void> {
  for (const { volume } of seen) addEdges(node, readVolumeXml(`${node.label}, XML`, volume.xml), sight);
  await draftTargets(node.edges, sight);
}

/**
 * Reads what may be a guest's work: nothing that it names is looked at, and nothing is missed. It counts where it is, letter by
 * letter, the path of a volume that is known anyway.
 */
async function readGuestHeader(node: DraftNode, seen: readonly SeenVolume[], sight: Sight): Promise<void> {
  if (seen.length === 0) return;
  const found = [
    ...seen.map(({ volume }) => readVolumeXml(`${node.label}, XML`, volume.xml)),
    await readHeader(node, { ...sight, qemuImg: () => Promise.resolve(undefined) }),
  ];
  const known = sight.draft.volumePaths;
  for (const { document, references } of found) {
    for (const reference of references) {
      const tokens = reference.kind === 'path' ? pathTokens(posix.normalize(reference.value)) : [];
      if (tokens.some((token) => known.has(token))) node.edges.push({ reference, document, tokens });
    }
  }
}
