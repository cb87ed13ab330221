import type { DocumentKind, Reference } from '../../core/reference.ts';
import { childElements, type Document, parseDocument, refusal } from './document.ts';
import { DOCUMENT_RULES } from './document-rules.ts';
import { readFixedChains } from './fixed-chains.ts';
import { type ImageFormats, readImageFormats } from './image-formats.ts';
import { argumentsOf, readConfigFiles } from './inner-arguments.ts';
import { readInnerImages } from './inner-images.ts';
import type { XmlElement } from './node.ts';
import { readPlaces } from './places.ts';
import { readRawImages } from './raw-images.ts';
import { readVolumeForm } from './volume-form.ts';

/** What one document of libvirt names. */
export interface DocumentReferences {
  readonly kind: DocumentKind;
  /** The name of the domain, snapshot, checkpoint, volume or pool; backups have none. */
  readonly name: string | undefined;
  /** In document order, each once: found by a rule where one selects the place, else by the sweep. */
  readonly references: readonly Reference[];
}

/**
 * Reads every reference to host storage out of one XML document of libvirt. What it returns is complete or it throws:
 * paths that no rule knows are found by a sweep over all attributes and texts. Values are as the parser gives them: a
 * tab or newline that stood raw in an attribute is a blank (XML 1.0, section 3.3.3), bytes that are not UTF-8 are U+FFFD.
 *
 * @throws IntegrityError when the document is not well formed, hostile, or of a kind that is not known.
 */
export function readReferences(xml: string): DocumentReferences {
  return readDocument(xml).found;
}

/** What one document names, and how. */
export interface DocumentReading {
  readonly found: DocumentReferences;
  /** What it opens as nothing but raw bytes. */
  readonly rawImages: ReadonlySet<string>;
  /** What it opens as images, and in which formats. */
  readonly imageFormats: ImageFormats;
  /** What it opens as images that begin somewhere inside. */
  readonly innerImages: readonly string[];
  /** What it opens with a backing chain of its own. */
  readonly fixedChains: ReadonlySet<string>;
  /** The files that its command line has QEMU read more arguments from. */
  readonly configFiles?: readonly string[];
}

/**
 * Reads a document like `readReferences`, and how it opens the paths and volumes that it names.
 *
 * @throws IntegrityError as `readReferences`.
 */
export function readDocument(xml: string): DocumentReading {
  return readUsualVolume(xml) ?? readFully(xml);
}

/** Reads a document by parsing it. @throws IntegrityError as `readReferences`. */
export function readFully(xml: string): DocumentReading {
  const document = parseDocument(xml);
  const kind = document.root.localName;
  if (!isDocumentKind(kind)) throw refusal(`its root element <${document.root.nodeName}> is not one of libvirt's`);
  const references = readPlaces(kind, document);
  const configFiles = readConfigFiles(argumentsOf(document));
  return {
    found: { kind, name: documentName(document), references },
    rawImages: readRawImages(document),
    imageFormats: readImageFormats(document),
    innerImages: readInnerImages(document),
    fixedChains: readFixedChains(document),
    ...(configFiles.length > 0 && { configFiles }),
  };
}

/** What `readFully` finds in a volume's document of the usual form: all but the backing store is the volume itself. */
export function readUsualVolume(xml: string): DocumentReading | undefined {
  const form = readVolumeForm(xml);
  if (form === undefined) return undefined;
  const { name, backingPath: value } = form;
  const evidence = '/volume/backingStore/path';
  const references: readonly Reference[] = value === undefined ? [] : [{ kind: 'path', value, evidence }];
  return {
    found: { kind: 'volume', name, references },
    rawImages: new Set(),
    imageFormats: new Map(),
    innerImages: [],
    fixedChains: new Set(),
  };
}

function isDocumentKind(name: string | null): name is DocumentKind {
  return name !== null && Object.hasOwn(DOCUMENT_RULES, name);
}

function documentName({ root }: Document): string | undefined {
  return childText(root, 'name') ?? childText(firstChild(root, 'domain'), 'name');
}

function childText(parent: XmlElement | undefined, name: string): string | undefined {
  return firstChild(parent, name)?.textContent ?? undefined;
}

function firstChild(parent: XmlElement | undefined, name: string): XmlElement | undefined {
  if (parent === undefined) return undefined;
  for (const child of childElements(parent)) {
    if (child.localName === name) return child;
  }
  return undefined;
}
