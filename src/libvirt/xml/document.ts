import type * as Xmldom from '@xmldom/xmldom';
import { IntegrityError } from '../../errors.ts';
import { loadXmldom } from './libraries.ts';
import { isElement, type XmlAttribute, type XmlElement } from './node.ts';
import { parsePlainTree } from './plain-tree.ts';

/** A parsed document, with what finding things in it needs. */
export interface Document {
  readonly root: XmlElement;
  /** Every element, in document order. */
  readonly elements: readonly XmlElement[];
  /** By local name, as in `disk`, and again by name and type, as in `disk[@type='file']`. */
  readonly elementsByStep: ReadonlyMap<string, readonly XmlElement[]>;
  readonly attributeNames: ReadonlySet<string>;
}

/** UTF-16 code units. The largest document that libvirt hands out is below 32 MiB (VIR_NET_MESSAGE_MAX). */
const MAX_LENGTH = 64 * 1024 * 1024;

/** libxml2, and so libvirt, refuses documents nested deeper than 256. */
const MAX_DEPTH = 1024;

/**
 * Parses one document, once.
 *
 * @throws IntegrityError when it is not well formed, has a document type declaration, a NUL, or an absurd size or depth.
 */
export function parseDocument(xml: string): Document {
  if (xml.length > MAX_LENGTH) throw refusal(`it is larger than ${MAX_LENGTH} characters`);
  if (xml.includes('\0')) throw refusal('it contains a NUL character');
  return indexElements(parsePlainTree(xml) ?? parseFully(xml));
}

/** Reads a document with a parser for all of XML. @throws IntegrityError as `parseDocument`. */
export function parseFully(xml: string): XmlElement {
  const document = parse(xml);
  if (document.doctype !== null) throw refusal('it has a document type declaration');
  if (document.documentElement === null) throw refusal('it has no element');
  return document.documentElement;
}

/** The attributes of an element, in document order. The map's own iterator takes several times as long. */
export function attributesOf({ attributes }: XmlElement): readonly XmlAttribute[] {
  const list: XmlAttribute[] = [];
  for (let index = 0; index < attributes.length; index += 1) {
    const attribute = attributes.item(index);
    if (attribute !== null) list.push(attribute);
  }
  return list;
}

/** The element children of an element, in document order. */
export function* childElements(parent: XmlElement): Generator<XmlElement> {
  for (let node = parent.firstChild; node !== null; node = node.nextSibling) {
    if (isElement(node)) yield node;
  }
}

/** What makes a document unusable, as an error. */
export function refusal(reason: string, cause?: unknown): IntegrityError {
  return new IntegrityError(`cannot read the XML document: ${reason}`, {
    cause,
    hint: 'nothing that it may name can be called unused until it is readable',
  });
}

function parse(xml: string): Xmldom.Document {
  const { DOMParser, ParseError } = loadXmldom();
  // Names that are not UTF-8 arrive as U+FFFD. The parser then warns first of all; any other complaint is final.
  let expectsEncodingWarning = xml.includes('\uFFFD');
  let complaint: string | undefined;
  const onError = (_level: string, message: string): void => {
    if (expectsEncodingWarning) {
      expectsEncodingWarning = false;
      return;
    }
    complaint ??= message;
    throw new SyntaxError(message);
  };
  try {
    return new DOMParser({ onError }).parseFromString(xml, 'text/xml');
  } catch (cause) {
    const line: unknown = cause instanceof ParseError ? cause.locator?.lineNumber : undefined;
    const where = typeof line === 'number' && line > 0 ? `line ${line}: ` : '';
    throw refusal(where + (complaint ?? String(cause)), cause);
  }
}

function indexElements(root: XmlElement): Document {
  const elements: XmlElement[] = [];
  const elementsByStep = new Map<string, XmlElement[]>();
  const attributeNames = new Set<string>();
  const waiting = [{ element: root, depth: 1 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { element, depth } = next;
    if (depth > MAX_DEPTH) throw refusal(`it is nested deeper than ${MAX_DEPTH} elements`);
    elements.push(element);
    const name = element.localName ?? element.nodeName;
    addElement(elementsByStep, name, element);
    for (const attribute of attributesOf(element)) {
      attributeNames.add(attribute.localName ?? attribute.name);
      if (attribute.name === 'type') addElement(elementsByStep, `${name}[@type='${attribute.value}']`, element);
    }
    for (let node = element.lastChild; node !== null; node = node.previousSibling) {
      if (isElement(node)) waiting.push({ element: node, depth: depth + 1 });
    }
  }
  return { root, elements, elementsByStep, attributeNames };
}

function addElement(elementsByStep: Map<string, XmlElement[]>, step: string, element: XmlElement): void {
  const known = elementsByStep.get(step);
  if (known === undefined) elementsByStep.set(step, [element]);
  else known.push(element);
}
