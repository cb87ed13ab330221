import { LibvirtError } from '../errors.ts';
import { type PlainXmlSink, readPlainXml } from './xml/plain-xml.ts';
import { loadFastXmlParser } from './xml/libraries.ts';

/** Entities stay as they are while parsing and are decoded here: only the five of XML itself, none from a document. */
const PARSER_OPTIONS = {
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  trimValues: false,
} as const;

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
]);

/** An element of a parsed document, for `textAt` and `elementsAt`. */
export type XmlElement = Readonly<Record<string, unknown>>;

/**
 * Parses a document whose root is `root`.
 *
 * @throws LibvirtError when it is not well-formed or has another root.
 */
export function parseXml(xml: string, root: string): XmlElement {
  let document: unknown;
  try {
    document = parsePlain(xml) ?? parseFully(xml);
  } catch (cause) {
    throw new LibvirtError(`cannot parse the XML of a ${root} that libvirt returned`, { cause });
  }
  if (isElement(document) && Object.hasOwn(document, root)) return asElement(document[root]);
  throw new LibvirtError(`cannot parse the XML of a ${root} that libvirt returned: it has no <${root}>`);
}

/** What `readPlainXml` can read, in the form that the parser for all of XML gives. */
export function parsePlain(xml: string): XmlElement | undefined {
  const document = newRecord();
  return readPlainXml(xml, recordBuilder(document)) ? document : undefined;
}

/** Parses a document of any kind. @throws Error when it is not well-formed. */
export function parseFully(xml: string): unknown {
  const { XMLParser } = loadFastXmlParser();
  return new XMLParser(PARSER_OPTIONS).parse(xml, true);
}

type XmlRecord = Record<string, unknown>;

/** Names of elements must not hit upon what objects have of their own. */
function newRecord(): XmlRecord {
  return Object.create(null) as XmlRecord;
}

function recordBuilder(document: XmlRecord): PlainXmlSink {
  const open: { readonly name: string; readonly record: XmlRecord }[] = [{ name: '', record: document }];
  const innermost = (): XmlRecord => open.at(-1)?.record ?? document;
  return {
    open: (name, attributes) => {
      const record = newRecord();
      for (let index = 0; index < attributes.length; index += 2)
        record[`@${attributes[index]}`] = attributes[index + 1];
      open.push({ name, record });
    },
    text: (raw) => {
      const record = innermost();
      record['#text'] = typeof record['#text'] === 'string' ? record['#text'] + raw : raw;
    },
    close: () => {
      const { name, record } = open.pop() ?? { name: '', record: document };
      const parent = innermost();
      const known = parent[name];
      if (known === undefined) parent[name] = isBare(record) ? '' : record;
      else parent[name] = [known, isBare(record) ? '' : record].flat();
    },
  };
}

function isBare(record: XmlRecord): boolean {
  return Object.keys(record).length === 0;
}

/** All elements at a path of element names. */
export function elementsAt(element: XmlElement, ...path: readonly string[]): readonly XmlElement[] {
  const [name, ...rest] = path;
  if (name === undefined) return [element];
  const found = element[name];
  if (found === undefined) return [];
  return (Array.isArray(found) ? found : [found]).flatMap((child) => elementsAt(asElement(child), ...rest));
}

/** The text of the first element, or the attribute, at a path such as `'target', 'format', '@type'`. */
export function textAt(element: XmlElement, ...path: readonly string[]): string | undefined {
  const last = path.at(-1);
  if (last?.startsWith('@') === true) return decodeText(elementsAt(element, ...path.slice(0, -1))[0]?.[last]);
  return decodeText(elementsAt(element, ...path)[0]?.['#text']);
}

/** Makes any text safe to stand in an element or an attribute. */
export function escapeXml(text: string): string {
  return text.replaceAll(/[<>&"'\t\r\n]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function decodeText(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  return value.replaceAll(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w+));/gi, (reference, decimal, hex, name: string) => {
    if (name !== undefined) return ENTITIES.get(name) ?? reference;
    const codePoint = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal);
    return codePoint <= 0x10_ff_ff ? String.fromCodePoint(codePoint) : reference;
  });
}

/** The parser returns an element without attributes and children as its text alone. */
function asElement(value: unknown): XmlElement {
  return isElement(value) ? value : { '#text': value };
}

function isElement(value: unknown): value is XmlElement {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
