import { LibvirtError } from '../errors.ts';

/** An element of a parsed document, for `textAt` and `elementsAt`. */
export interface XmlElement {
  readonly name: string;
  /** As written in the tag. */
  readonly attributes: string;
  readonly children: readonly XmlElement[];
  /** The text directly inside, entities undecoded. */
  readonly text: string;
}

interface OpenElement extends XmlElement {
  readonly children: OpenElement[];
  text: string;
}

/**
 * One piece of a document: comment, processing instruction, end tag, start tag, text. Whatever else XML has (CDATA,
 * document types) libvirt does not write, and whoever sends it is refused.
 */
const PIECE =
  /<!--[^]*?-->|<\?[^]*?\?>|<\/([^\s<>/]+)\s*>|<([^\s<>/='"!?]+)((?:\s+[^\s<>/='"]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/g;

const ATTRIBUTE = /([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;

/** Only the five entities of XML itself, none from a document. */
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
]);

/**
 * Parses a document whose root is `root`. Made for the small documents that libvirt returns by the thousand: a general
 * parser takes ten times as long.
 *
 * @throws LibvirtError when it is not well-formed or has another root.
 */
export function parseXml(xml: string, root: string): XmlElement {
  const element = parseElements(xml);
  if (element === undefined) throw new LibvirtError(`cannot parse the XML of a ${root} that libvirt returned`);
  if (element.name === root) return element;
  throw new LibvirtError(`cannot parse the XML of a ${root} that libvirt returned: it has no <${root}>`);
}

/** All elements at a path of element names. */
export function elementsAt(element: XmlElement, ...path: readonly string[]): readonly XmlElement[] {
  const [name, ...rest] = path;
  if (name === undefined) return [element];
  return element.children.filter((child) => child.name === name).flatMap((child) => elementsAt(child, ...rest));
}

/** The text of the first element, or the attribute, at a path such as `'target', 'format', '@type'`. */
export function textAt(element: XmlElement, ...path: readonly string[]): string | undefined {
  const last = path.at(-1);
  if (last?.startsWith('@') !== true) return decodeText(elementsAt(element, ...path)[0]?.text);
  return decodeText(attributeOf(elementsAt(element, ...path.slice(0, -1))[0], last.slice(1)));
}

/** Makes any text safe to stand in an element or an attribute. */
export function escapeXml(text: string): string {
  return text.replaceAll(/[<>&"'\t\r\n]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The root element; `undefined` when the document is not well-formed. */
function parseElements(xml: string): XmlElement | undefined {
  const document: OpenElement = { name: '', attributes: '', children: [], text: '' };
  const open = [document];
  let end = 0;
  for (const piece of xml.matchAll(PIECE)) {
    if (piece.index !== end || !take(piece, open)) return undefined;
    end += piece[0].length;
  }
  const isWhole = end === xml.length && open.length === 1 && document.children.length === 1;
  return isWhole && document.text.trim() === '' ? document.children[0] : undefined;
}

/** Puts a piece where it belongs, in the innermost open element. False: it closes another one. */
function take([, closed, opened, attributes = '', slash, text = '']: RegExpExecArray, open: OpenElement[]): boolean {
  const parent = open.at(-1);
  if (parent === undefined) return false;
  if (closed !== undefined) return open.pop()?.name === closed && open.length > 0;
  parent.text += text;
  if (opened === undefined) return true;
  const element: OpenElement = { name: opened, attributes, children: [], text: '' };
  parent.children.push(element);
  if (slash === '') open.push(element);
  return true;
}

function attributeOf(element: XmlElement | undefined, wanted: string): string | undefined {
  for (const [, name, quoted, single] of element?.attributes.matchAll(ATTRIBUTE) ?? []) {
    if (name === wanted) return quoted ?? single;
  }
  return undefined;
}

function decodeText(value: string | undefined): string | undefined {
  return value?.replaceAll(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w+));/gi, (reference, decimal, hex, name: string) => {
    if (name !== undefined) return ENTITIES.get(name) ?? reference;
    const codePoint = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal);
    return codePoint <= 0x10_ff_ff ? String.fromCodePoint(codePoint) : reference;
  });
}
