import { statSync } from 'node:fs';
import { claimReference, type Claims } from '../core/claim.ts';
import type { Progress } from '../core/ports.ts';
import type { Reference } from '../core/reference.ts';
import { track } from '../core/track.ts';
import type { Edge, GraphRoot, UseGraph } from '../core/use-graph.ts';
import { PoolkeeperError } from '../errors.ts';
import type { QemuImgInfo } from '../image-format/qemu-img.ts';
import type { Connection } from '../libvirt/connection.ts';
import { createDocumentReader } from '../libvirt/xml/document-reader.ts';
import { isLocalUri } from '../libvirt/local-uri.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import { Draft, type DraftNode, linkSameFiles, toEdge } from './draft.ts';
import { type FileIdentifier, localFiles, remoteFiles } from './file-identity.ts';
import { type FoundReferences, type ImageSight, readHeader, readVolumeXml, readXml, volumesOf } from './image-edges.ts';
import { type Inventory, listInventory } from './inventory.ts';
import { openFileRoots } from './open-files.ts';
import { draftPool, type SeenVolume } from './pool-nodes.ts';
import { draftTargets } from './targets.ts';
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
  /** Finds domains that other daemons define, by default none. */
  readonly readOthers?: (table: MountTable) => OtherDomains;
}

interface Sight extends ImageSight {
  readonly files: FileIdentifier;
  readonly isLocal: boolean;
  readonly draft: Draft;
  readonly poolNames: ReadonlySet<string>;
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
export async function gatherUseGraph(sight: GraphSight): Promise<GatheredGraph> {
  if (sight.progress === undefined) return gather(sight);
  return track(sight.progress, { label: 'look at everything that may need an image' }, () => gather(sight));
}

async function gather(sight: GraphSight): Promise<GatheredGraph> {
  const { connection, qemuImg, ownPid, readClaims, domainPlaces = DOMAIN_PLACES } = sight;
  const claims = await readClaims();
  const isLocal = isLocalUri(connection.uri);
  const inventory = await listInventory(connection, isLocal);
  const readOthers = (table: MountTable): OtherDomains =>
    readOtherDomains(domainPlaces, table, listedBy(connection.uri));
  return drawGraph(inventory, { qemuImg, readVolume: volumesOf(connection), isLocal, ownPid, claims, readOthers });
}

/** Which domains are known from a connection. A socket of its own may be that of any daemon. */
function listedBy(uri: string): Parameters<typeof readOtherDomains>[2] {
  const isOwnSession = /^[a-z]+:\/\/\/session$/.test(uri);
  return { scheme: uri.split(/[+:]/)[0] ?? '', sessionUid: isOwnSession ? statSync('/proc/self').uid : undefined };
}

/** Draws the graph of what was listed, and reads every image on the way. */
export async function drawGraph(
  inventory: Inventory,
  { isLocal, ownPid, claims = NO_CLAIMS, readOthers, ...images }: HostSight,
): Promise<GatheredGraph> {
  const draft = new Draft();
  const pools = inventory.pools.map(({ pool }) => pool);
  const poolNames = new Set(pools.map(({ name }) => name));
  const files = isLocal ? localFiles() : remoteFiles();
  const table = isLocal ? mountsOfHost(draft) : undefined;
  const poolFolders = foldersOf(pools, files);
  const paths = poolFolders.map(({ path }) => path);
  const folders = table && createFolderReader({ files, table, poolFolders: paths });
  if (table !== undefined) draft.miss(...overlayMounts(poolFolders, table));
  const sight: Sight = { ...images, isLocal, files, draft, poolNames, folders, table };
  const volumes: SeenVolume[] = [];
  for (const listing of inventory.pools) volumes.push(...(await draftPool(listing, draft, sight)));
  draft.miss(...inventory.blindSpots, ...claims.blindSpots);
  const others = (table && readOthers?.(table)) ?? { domains: [], unread: [] };
  const unread = [...others.unread];
  const roots = [
    ...claimRoots(claims, pools, sight),
    ...domainRoots(inventory, sight),
    ...otherRoots(others, unread, sight),
    ...poolRoots(pools, sight),
  ];
  for (const { volume, node } of volumes) {
    addEdges(node, readVolumeXml(`${node.label}, XML`, volume.xml), sight);
  }
  for (const root of roots) await draftTargets(root.edges, sight);
  await exploreImages(sight);
  await linkSameFiles(draft.nodes);
  const { nodes, blindSpots, absences } = draft;
  const holders = isLocal && ownPid !== undefined ? { holders: askedOnce(() => openFileRoots(nodes, ownPid)) } : {};
  return { graph: { nodes, roots, blindSpots, absences, ...holders }, unread, volumes, pools };
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

/** Domains of daemons that were not asked. A definition that makes no sense is somebody else's, and holds nothing back. */
function otherRoots({ domains }: OtherDomains, unread: UnreadPlace[], sight: Sight): readonly GraphRoot[] {
  const read = createDocumentReader();
  return domains.flatMap(({ label, xml }): readonly GraphRoot[] => {
    const document = `${label}, inactive XML`;
    try {
      const reading = read(xml);
      return [
        {
          label,
          kind: 'domain',
          edges: edgesOf(
            readXml(document, xml, () => reading),
            sight,
          ),
        },
      ];
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

function edgesOf(found: FoundReferences, sight: Sight): readonly Edge[] {
  const { draft, files, folders } = sight;
  const { document, rawImages, fixedChains, references, configFiles = [] } = found;
  draft.miss(...found.blindSpots);
  const edges = references.flatMap((reference) => {
    const edge = toEdge(reference, document, files);
    const isRaw = rawImages.has(reference.value);
    const isFixed = fixedChains?.has(reference.value) === true;
    if (isRaw || isFixed) return [{ ...edge, ...(isRaw && { isRaw }), ...(isFixed && { isFixed }) }];
    if (reference.kind !== 'dir' || folders === undefined) return [edge];
    const cover = folders(reference, document);
    draft.miss(...cover.blindSpots);
    return [edge, ...cover.edges];
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
 * the path by which it is opened, so it is read anew for every folder that such a path lies in.
 */
async function exploreImages(sight: Sight): Promise<void> {
  const { nodes, otherNames } = sight.draft;
  let next = 0;
  const take = (): DraftNode | undefined => (next < nodes.length ? nodes[next++] : undefined);
  const explore = async (): Promise<void> => {
    for (let node = take(); node !== undefined; node = take()) {
      if (node.isDirectory) continue;
      await draftTargets(node.edges, sight);
      await draftTargets(addEdges(node, await readHeader(node, sight), sight), sight);
    }
  };
  let nextName = 0;
  while (next < nodes.length || nextName < otherNames.length) {
    // A reader that finds the list exhausted may be overtaken by another that adds to it, hence the repetition.
    while (next < nodes.length) await Promise.all(Array.from({ length: READERS }, explore));
    for (const { node, path } of otherNames.slice(nextName)) {
      nextName += 1;
      const found = await readHeader({ ...node, content: { file: path, volume: node.content.volume } }, sight);
      const isNew = ({ kind, value }: Reference): boolean =>
        !node.edges.some(({ reference }) => reference.kind === kind && reference.value === value);
      await draftTargets(addEdges(node, { ...found, references: found.references.filter(isNew) }, sight), sight);
    }
  }
}
