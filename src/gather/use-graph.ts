import { posix } from 'node:path';
import { statSync } from 'node:fs';
import { claimReference, type Claims } from '../core/claim.ts';
import type { Progress } from '../core/ports.ts';
import { track } from '../core/track.ts';
import type { FolderIdentity } from '../core/trash.ts';
import { createResolver, type Edge, type GraphRoot, type UseGraph } from '../core/use-graph.ts';
import { PoolkeeperError } from '../errors.ts';
import type { QemuImgInfo } from '../image-format/qemu-img.ts';
import type { Connection } from '../libvirt/connection.ts';
import { createDocumentReader } from '../libvirt/xml/document-reader.ts';
import { listPools, type StoragePool } from '../libvirt/storage-pool.ts';
import type { Sharing } from '../usage/deletion-right.ts';
import { findHindrances, findPlaces, type Places } from '../usage/places.ts';
import { RawReferences } from '../usage/raw-references.ts';
import { Draft, type DraftNode, linkSameFiles, type OtherName, toEdge } from './draft.ts';
import { type FileIdentifier, localFiles, pathTokens, remoteFiles } from './file-identity.ts';
import { type FoundReferences, type ImageSight, readHeader, readVolumeXml, readXml, volumesOf } from './image-edges.ts';
import { type Inventory, listInventory } from './inventory.ts';
import { openFileRoots } from './open-files.ts';
import { draftPool, type SeenVolume } from './pool-nodes.ts';
import { draftTargets, type TargetSight } from './targets.ts';
import { circularChains, type DraftRoot, type Explored, judgeAbsences, missUnlikeImages } from './absent-images.ts';
import { overlayMounts, type PoolFolder } from '../usage/mounted-places.ts';
import {
  DOMAIN_PLACES,
  type DomainPlaces,
  type OtherDomains,
  readOtherDomains,
  type UnreadPlace,
} from '../usage/other-domains.ts';
import { readQemuConfig } from '../usage/qemu-config.ts';
import { createFolderReader, type FolderReader } from '../usage/shared-folders.ts';
import { type MountTable, readMounts } from '../util/mounts.ts';

/** The use graph, and the volumes of all active pools with their nodes. */
export interface GatheredGraph {
  readonly graph: UseGraph;
  /** Where domains may be defined that could not be looked at. It holds nothing back. */
  readonly unread: readonly UnreadPlace[];
  readonly volumes: readonly SeenVolume[];
  readonly pools: readonly StoragePool[];
  /** The folders of the pools on this host as they were before anything in them was looked at, by name. */
  readonly folders?: ReadonlyMap<string, FolderIdentity>;
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
  /** Where domains may be defined that this daemon does not list, by default on this host. */
  readonly domainPlaces?: DomainPlaces;
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
  /** Finds domains that other daemons define, by default none. */
  readonly readOthers?: (table: MountTable) => OtherDomains;
}

interface Sight extends ImageSight, TargetSight {
  /** What folders cover by way of mounts and links; `undefined`: they are not this host's. */
  readonly folders: FolderReader | undefined;
  /** The mounts of this host; `undefined`: of another one. */
  readonly table: MountTable | undefined;
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

async function gather(sight: GraphSight): Promise<PlacedGraph> {
  const { connection, qemuImg, ownPid, readClaims, judged, sharing, domainPlaces = DOMAIN_PLACES } = sight;
  const claims = await readClaims();
  const listed = await listPools(connection);
  const places = await findPlaces(connection, listed, judged);
  const { isLocal } = places;
  const inventory = await listInventory(connection, listed, isLocal);
  const forgotten = claims.forgotten?.get(connection.uri);
  const readOthers = (table: MountTable): OtherDomains =>
    readOtherDomains(domainPlaces, table, listedBy(connection.uri));
  const host = { qemuImg, readVolume: volumesOf(connection), isLocal, ownPid, claims, forgotten, readOthers };
  const drawn = await drawGraph(inventory, host);
  const volumes = drawn.volumes.map(({ volume }) => volume);
  const hindrances = await findHindrances(places, { pools: drawn.pools, volumes, judged, sharing });
  const graph = { ...drawn.graph, blindSpots: [...drawn.graph.blindSpots, ...hindrances] };
  return { ...drawn, graph, places };
}

/** Which domains are known from a connection. A socket of its own may be that of any daemon. */
function listedBy(uri: string): Parameters<typeof readOtherDomains>[2] {
  const isOwnSession = /^[a-z]+:\/\/\/session$/.test(uri);
  return { scheme: uri.split(/[+:]/)[0] ?? '', sessionUid: isOwnSession ? statSync('/proc/self').uid : undefined };
}

/** Draws the graph of what was listed, and reads every image on the way. */
export async function drawGraph(
  inventory: Inventory,
  { isLocal, ownPid, claims = NO_CLAIMS, forgotten = new Set(), readOthers, ...images }: HostSight,
): Promise<GatheredGraph> {
  const draft = new Draft();
  const pools = inventory.pools.map(({ pool }) => pool);
  const poolNames = new Set(pools.map(({ name }) => name));
  const unseenPools = new Set(inventory.pools.flatMap(({ pool, isUnseen }) => (isUnseen === true ? [pool.name] : [])));
  const files = isLocal ? localFiles() : remoteFiles();
  const table = isLocal ? mountsOfHost(draft) : undefined;
  const poolFolders = foldersOf(pools, files);
  const paths = poolFolders.map(({ path }) => path);
  const folders = table && createFolderReader({ files, table, poolFolders: paths });
  if (table !== undefined) draft.miss(...overlayMounts(poolFolders, table));
  const sight: Sight = { ...images, isLocal, files, draft, poolNames, unseenPools, folders, table };
  const volumes: SeenVolume[] = [];
  for (const listing of inventory.pools) volumes.push(...(await draftPool(listing, draft, sight)));
  draft.miss(...inventory.blindSpots, ...claims.blindSpots);
  const others = (table && readOthers?.(table)) ?? { domains: [], unread: [] };
  const unread = [...others.unread];
  const domains = [...domainRoots(inventory, sight), ...otherRoots(others, unread, sight)];
  const roots = [...claimRoots(claims, pools, sight), ...domains, ...poolRoots(pools, sight)];
  for (const root of roots) await draftTargets(root.edges, sight);
  const explored = await exploreImages(sight, domains, volumes);
  await linkSameFiles(draft.nodes);
  missUnlikeImages([...domains.flatMap(({ edges }) => edges), ...explored.headers.values()].flat(), explored, sight);
  draft.miss(...circularChains(explored));
  const absences = judgeAbsences(draft, domains, { explored, forgotten });
  const { nodes, blindSpots } = draft;
  const holders = isLocal && ownPid !== undefined ? { holders: askedOnce(() => openFileRoots(nodes, ownPid)) } : {};
  const seen = inventory.pools.flatMap(({ pool, folder }) =>
    folder === undefined ? [] : [[pool.name, folder] as const],
  );
  const graph = { nodes, roots, blindSpots, absences, ...holders };
  return { graph, unread, volumes, pools, folders: new Map(seen) };
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

/** Domains of daemons that were not asked. A definition that makes no sense is somebody else's, and holds nothing back. */
function otherRoots({ domains }: OtherDomains, unread: UnreadPlace[], sight: Sight): readonly DraftRoot[] {
  const read = createDocumentReader();
  return domains.flatMap(({ label, xml }): readonly DraftRoot[] => {
    const document = `${label}, inactive XML`;
    try {
      const reading = read(xml);
      const found = readXml(document, xml, () => reading);
      return [{ label, kind: 'domain', edges: edgesOf(found, sight) }];
    } catch (error) {
      if (!(error instanceof PoolkeeperError)) throw error;
      unread.push({ what: document, cause: error.message, remedy: 'mend the definition, or remove it' });
      return [];
    }
  });
}

/** A pool may itself stand on a volume of another pool: a physical volume, a disk image. */
function poolRoots(pools: readonly StoragePool[], sight: Sight): readonly GraphRoot[] {
  return pools.map(({ name, xml }) => {
    const label = `storage pool ${name}`;
    return { label, kind: 'pool', edges: edgesOf(readXml(`${label}, XML`, xml), sight) };
  });
}

/** The directories of pools of files, without links and detours. */
function foldersOf(pools: readonly StoragePool[], files: FileIdentifier): readonly PoolFolder[] {
  return pools.flatMap(({ name, targetPath }) => {
    const path = targetPath?.startsWith('/') === true ? files.identify(targetPath).paths.at(-1) : undefined;
    return path === undefined ? [] : [{ pool: name, path }];
  });
}

/** The mounts of this host. Without them nobody can tell what guests see below the folders that they share. */
function mountsOfHost(draft: Draft): MountTable | undefined {
  try {
    return readMounts();
  } catch (error) {
    draft.miss({
      what: 'the mounts of this host',
      cause: String(error),
      remedy: 'mount /proc',
      concerns: 'everything',
    });
    return undefined;
  }
}

/** Asks when first called, and remembers the answer. */
function askedOnce<T>(ask: () => T): () => T {
  let answer: { readonly value: T } | undefined;
  return () => (answer ??= { value: ask() }).value;
}

function addEdges(node: DraftNode, found: FoundReferences, sight: Sight): readonly Edge[] {
  const edges = edgesOf(found, sight);
  node.edges.push(...edges);
  return edges;
}

function edgesOf(found: FoundReferences, sight: Sight): Edge[] {
  const { draft, files, folders } = sight;
  const { document, rawImages, imageFormats, fixedChains, references, configFiles = [] } = found;
  draft.miss(...found.blindSpots);
  const edges = references.flatMap((reference) => {
    const edge = toEdge(reference, document, files);
    const isRaw = rawImages.has(reference.value);
    const isFixed = fixedChains?.has(reference.value) === true;
    const formats = imageFormats.get(reference.value);
    const isPlain = !isRaw && !isFixed && formats === undefined;
    const stated = isPlain
      ? edge
      : { ...edge, ...(isRaw && { isRaw }), ...(isFixed && { isFixed }), ...(formats && { formats }) };
    if (reference.kind !== 'dir' || folders === undefined) return [stated];
    const cover = folders(reference, document);
    draft.miss(...cover.blindSpots);
    return [stated, ...cover.edges];
  });
  const configs = configFiles.flatMap((path) => edgesOf(configOf(path, document, sight), sight));
  return configs.length === 0 ? edges : [...edges, ...configs];
}

/** What a configuration file of QEMU names. libvirt runs QEMU in the root directory, where relative names then start. */
function configOf(path: string, document: string, { isLocal }: Sight): FoundReferences {
  const absolute = path.startsWith('/') ? path : `/${path}`;
  const config = readQemuConfig(isLocal ? absolute : undefined, absolute, document);
  return { document: `${document}, ${absolute}`, ...config };
}

/**
 * Reads the header of every image in the draft; each may add images that were not known before. Names in a header start from
 * the path by which it is opened, so it is read anew for every folder that such a path lies in. One that everybody opens as raw
 * bytes is not read, since nobody follows what a guest wrote into it; a volume is, but only for what it says of other volumes.
 */
async function exploreImages(
  sight: Sight,
  domains: readonly DraftRoot[],
  volumes: readonly SeenVolume[],
): Promise<Explored> {
  const { nodes, otherNames } = sight.draft;
  const explored: Explored = { headers: new Map(), others: new Map(), contents: new Map() };
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
  const readFrom = async ({ node, path }: OtherName): Promise<void> => {
    const header = await readHeader({ ...node, content: { file: path, volume: node.content.volume } }, sight);
    const edges = edgesOf(header, sight).map((edge) => node.edges.find((known) => isAlike(known, edge)) ?? edge);
    const more = edges.filter((edge) => !node.edges.includes(edge));
    node.edges.push(...more);
    raw.note(more);
    explored.others.set(node, [...(explored.others.get(node) ?? []), { path, edges }]);
    await draftTargets(more, sight);
  };
  let next = 0;
  const followed = new Set<OtherName>();
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
    for (const name of otherNames.filter((other) => !followed.has(other) && explored.headers.has(other.node))) {
      followed.add(name);
      await readFrom(name);
    }
    if (next < nodes.length) continue;
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

/** Whether two edges of an image name the same thing. */
function isAlike({ reference: a }: Edge, { reference: b }: Edge): boolean {
  return a.kind === b.kind && a.value === b.value;
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
