import type { BlindSpot, Reference } from '../core/reference.ts';
import type { PoolkeeperError } from '../errors.ts';
import { FailureError } from '../errors.ts';
import type { ImageFormat, ImageInspection, ImageReader } from '../image-format/image.ts';
import { inspectImage } from '../image-format/inspect-image.ts';
import { openLocalImage } from '../image-format/local-file.ts';
import type { QemuImgInfo } from '../image-format/qemu-img.ts';
import type { Connection } from '../libvirt/connection.ts';
import { hasNumber, isNoStorageVolume, VIR_ERR } from '../libvirt/error-codes.ts';
import { downloadVolume } from '../libvirt/stream.ts';
import type { DocumentReader } from '../libvirt/xml/document-reader.ts';
import type { ImageFormats } from '../libvirt/xml/image-formats.ts';
import { type DocumentReading, readDocument, readUsualVolume } from '../libvirt/xml/references.ts';
import type { DraftNode } from './draft.ts';
import { hasVanished } from './unseen.ts';

/** What is needed to read images. */
export interface ImageSight {
  readonly qemuImg: QemuImgInfo;
  readonly readVolume: VolumeReader;
}

/** A volume by name. */
interface VolumeName {
  readonly pool: string;
  readonly name: string;
}

/** Reads a part of a volume that is no file on this host. What it returns is shorter only where the volume ends. */
export type VolumeReader = (volume: VolumeName, offset: bigint, length: number) => Promise<Uint8Array>;

/** References in one document, and what of it could not be seen. */
export interface FoundReferences {
  readonly document: string;
  readonly references: readonly Reference[];
  /** The values that are opened as raw bytes and in no other way. */
  readonly rawImages: ReadonlySet<string>;
  /** The values that are opened as images, and in which formats. */
  readonly imageFormats: ImageFormats;
  /** The values whose backing chain the document spells out. */
  readonly fixedChains?: ReadonlySet<string>;
  /** The files from which QEMU reads more arguments. */
  readonly configFiles?: readonly string[];
  readonly blindSpots: readonly BlindSpot[];
}

/** What the header of one image names. */
export interface HeaderReading extends FoundReferences {
  /** What its first bytes show. */
  readonly format: ImageFormat;
  readonly isEmpty: boolean;
}

/** For an image that is gone. */
const NOTHING: ImageInspection = {
  format: 'raw',
  references: [],
  isEmpty: true,
  undecided: undefined,
  remedy: undefined,
  savedDomainXml: undefined,
};

/**
 * What a document has that may name something: an element for it, a text or value that begins like a path or an image
 * name, a pair of attributes, or anything that hides text.
 */
const LEAD = /<(?:backingStore|device|!)|[>'"]\s*(?:\/(?!>)|&|(?:json|file|fat|host_device):)|\b(?:pool|protocol)=/;

/** What the image behind a node names in its header. An image that vanished meanwhile names nothing. */
export async function readHeader(node: DraftNode, sight: ImageSight): Promise<HeaderReading> {
  const inspection = await inspectContent(node, sight);
  const document = `${node.label}, ${inspection.format} header`;
  const saved = inspection.savedDomainXml === undefined ? undefined : readXml(document, inspection.savedDomainXml);
  const doubt = inspection.undecided === undefined ? [] : [undecidedImage(node, inspection)];
  const named = inspection.references.map(
    ({ value }) => [value, inspection.statedFormats?.get(value) ?? 'auto'] as const,
  );
  const raw = named.flatMap(([value, format]) => (format === 'raw' ? [value] : []));
  return {
    document,
    references: [...inspection.references, ...(saved?.references ?? [])],
    rawImages: new Set([...raw, ...(saved?.rawImages ?? [])]),
    imageFormats: new Map([
      ...named.map(([value, format]) => [value, [format]] as const),
      ...(saved?.imageFormats ?? []),
    ]),
    configFiles: saved?.configFiles ?? [],
    blindSpots: [...doubt, ...(saved?.blindSpots ?? [])],
    format: inspection.format,
    isEmpty: inspection.isEmpty === true,
  };
}

/** What a volume's XML names. Most name nothing but themselves, and are not worth parsing. */
export function readVolumeXml(document: string, xml: string): FoundReferences {
  const usual = readUsualVolume(xml);
  if (usual !== undefined) return foundIn(document, usual);
  const others = xml.replace(/<key>[^<]*<\/key>/, '').replace(/<target>\s*<path>[^<]*<\/path>/, '');
  if (LEAD.test(others)) return readXml(document, xml);
  return { document, references: [], rawImages: new Set(), imageFormats: new Map(), blindSpots: [] };
}

/** What an XML document names; a document that cannot be read is a blind spot. */
export function readXml(document: string, xml: string, read: DocumentReader = readDocument): FoundReferences {
  try {
    return foundIn(document, read(xml));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const remedy = `look at the document with virsh; 'poolkeeper references -' says what is wrong with it`;
    return {
      document,
      references: [],
      rawImages: new Set(),
      imageFormats: new Map(),
      blindSpots: [{ what: document, cause: error.message, remedy, concerns: 'everything' }],
    };
  }
}

function foundIn(document: string, reading: DocumentReading): FoundReferences {
  const { found, rawImages, imageFormats, innerImages, fixedChains, configFiles = [] } = reading;
  const blindSpots = innerImages.map((image) => unseenInside(image, document));
  return { document, references: found.references, rawImages, imageFormats, fixedChains, configFiles, blindSpots };
}

function unseenInside(image: string, document: string): BlindSpot {
  return {
    what: `image inside ${image}`,
    cause: `${document} opens it at an offset, where no header is looked for`,
    remedy: 'copy the inner image into a file of its own',
    concerns: 'everything',
  };
}

async function inspectContent(node: DraftNode, sight: ImageSight): Promise<ImageInspection> {
  const { file } = node.content;
  if (file !== undefined) {
    try {
      await using image = await openLocalImage(file);
      return await inspectImage(image, { runQemuImg: sight.qemuImg });
    } catch (error) {
      if (!(error instanceof FailureError)) throw error;
      if (hasVanished(file, node.tokens)) return NOTHING;
      if (node.content.volume === undefined) return unreadableImage(error);
    }
  }
  return inspectVolume(node, sight.readVolume);
}

async function inspectVolume(node: DraftNode, readVolume: VolumeReader): Promise<ImageInspection> {
  const { volume } = node.content;
  if (volume === undefined) return unreadableImage(new FailureError(`cannot read ${node.label}`));
  const reader: ImageReader = {
    path: node.paths[0],
    read: (offset, length) => readVolume(volume, offset, length),
  };
  return inspectImage(reader);
}

/** Reads volumes through libvirt. */
export function volumesOf(connection: Connection): VolumeReader {
  return async ({ pool, name }, offset, length) => {
    const chunks: Uint8Array[] = [];
    try {
      const range = { offset, length: BigInt(length) };
      for await (const chunk of downloadVolume(connection, pool, name, range)) chunks.push(chunk);
    } catch (error) {
      // Pools without up- and download hold raw devices (rbd, iscsi-direct); a volume that is gone needs nothing.
      if (!hasNumber(error, VIR_ERR.noSupport) && !isNoStorageVolume(error)) throw error;
    }
    return Buffer.concat(chunks);
  };
}

function unreadableImage(error: PoolkeeperError): ImageInspection {
  const remedy = 'make it readable, or run poolkeeper as root on the host itself';
  return {
    format: 'unknown',
    references: [],
    undecided: error.message,
    remedy,
    savedDomainXml: undefined,
  };
}

function undecidedImage(node: DraftNode, inspection: ImageInspection): BlindSpot {
  return {
    what: node.label,
    cause: inspection.undecided ?? 'its header could not be understood',
    remedy: inspection.remedy ?? 'repair or remove the image',
    concerns: 'everything',
    holder: node.id,
  };
}
