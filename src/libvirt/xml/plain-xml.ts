/** Takes what `readPlainXml` finds, in document order. Values still have their entities. */
export interface PlainXmlSink {
  /** @param attributes names and values by turns. */
  open(name: string, attributes: readonly string[]): void;
  /** Text between two tags; never empty. */
  text(raw: string): void;
  close(): void;
}

/** Beyond these a document is not plain any more. */
const MAX_LENGTH = 1024 * 1024;
const MAX_DEPTH = 200;

const NAME = /[A-Za-z][\w.-]*(?::[A-Za-z][\w.-]*)?/y;

/** Control characters, line ends other than a newline, all beyond U+D7FF, and what ends a CDATA section. */
const UNUSUAL = /[^\t\n -~\u00A0-\u2027\u202A-\uD7FF]|\]\]>|&(?!(?:lt|gt|amp|quot|apos);)/;

/**
 * Reads a document of the plain kind that libvirt nearly always writes: elements, attributes and text, without
 * declarations, comments, CDATA sections, references to characters, and whatever else XML has. It is several times as fast
 * as a parser for all of XML. What it takes is a proper subset: it never takes a document that such a parser refuses, nor
 * reads another value out of one; in every doubt it returns false, and the document has to be given to that parser.
 */
export function readPlainXml(xml: string, sink: PlainXmlSink): boolean {
  if (xml.length > MAX_LENGTH || UNUSUAL.test(xml)) return false;
  const scopes: Scope[] = [];
  for (let at = 0; at < xml.length;) {
    const tag = readTag(xml, at);
    if (tag === undefined || !takeTag(tag, scopes, sink)) return false;
    if (scopes.length === 0) return isBlank(xml, tag.next);
    const next = xml.indexOf('<', tag.next);
    if (next > tag.next) sink.text(xml.slice(tag.next, next));
    at = next === -1 ? xml.length : next;
  }
  return false;
}

/** An element that was begun, and the namespace prefixes that can be used in it. */
interface Scope {
  readonly name: string;
  readonly prefixes: ReadonlySet<string>;
}

const NO_PREFIXES: ReadonlySet<string> = new Set();

function takeTag(tag: Tag, scopes: Scope[], sink: PlainXmlSink): boolean {
  const { name, attributes } = tag;
  if (tag.kind === 'end') {
    if (scopes.pop()?.name !== name) return false;
    sink.close();
    return true;
  }
  const prefixes = prefixesIn(tag, scopes.at(-1)?.prefixes ?? NO_PREFIXES);
  if (prefixes === undefined || scopes.length === MAX_DEPTH) return false;
  sink.open(name, attributes);
  if (tag.kind === 'start') scopes.push({ name, prefixes });
  else sink.close();
  return true;
}

/** The prefixes that are declared at a tag; `undefined` when it uses others, or declares anything but prefixes. */
function prefixesIn({ name, attributes }: Tag, outer: ReadonlySet<string>): ReadonlySet<string> | undefined {
  const names = [name, ...attributes.filter((_, index) => index % 2 === 0)];
  if (!names.some((each) => each.includes(':') || each === 'xmlns')) return outer;
  const declared = names.flatMap((each) => (each.startsWith('xmlns:') ? [each.slice('xmlns:'.length)] : []));
  const all = new Set([...outer, ...declared]);
  const isKnown = (each: string): boolean => {
    const prefix = each.slice(0, Math.max(each.indexOf(':'), 0));
    return prefix === '' || all.has(prefix) || (prefix === 'xmlns' && each !== name);
  };
  const isUsual = names.every((each) => each !== 'xmlns' && isKnown(each)) && !all.has('xml') && !all.has('xmlns');
  return isUsual && !declared.some((prefix) => valueOf(`xmlns:${prefix}`, attributes) === '') ? all : undefined;
}

function valueOf(name: string, attributes: readonly string[]): string | undefined {
  const index = attributes.findIndex((each, at) => at % 2 === 0 && each === name);
  return index === -1 ? undefined : attributes[index + 1];
}

function isBlank(xml: string, from: number): boolean {
  return skipBlanks(xml, from) === xml.length;
}

/** A value with its entities decoded. */
export function decodePlain(raw: string): string {
  if (!raw.includes('&')) return raw;
  return raw.replaceAll(/&(\w+);/g, (_whole, name: string) => ENTITIES[name] ?? '');
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

interface Tag {
  readonly kind: 'start' | 'end' | 'empty';
  readonly name: string;
  /** Names and values by turns. */
  readonly attributes: readonly string[];
  /** Where it ends. */
  readonly next: number;
}

/** Reads the tag at a place; `undefined` when there is none, or one that is not plain. */
function readTag(xml: string, at: number): Tag | undefined {
  if (xml.startsWith('</', at)) return readEndTag(xml, at + 2);
  const name = xml[at] === '<' ? nameAt(xml, at + 1) : undefined;
  if (name === undefined) return undefined;
  const attributes: string[] = [];
  for (let next = at + 1 + name.length; ;) {
    const start = skipBlanks(xml, next);
    if (xml[start] === '>') return { kind: 'start', name, attributes, next: start + 1 };
    if (xml.startsWith('/>', start)) return { kind: 'empty', name, attributes, next: start + 2 };
    const end = start === next ? undefined : readAttribute(xml, start, attributes);
    if (end === undefined) return undefined;
    next = end;
  }
}

function readEndTag(xml: string, at: number): Tag | undefined {
  const name = nameAt(xml, at);
  if (name === undefined || xml[at + name.length] !== '>') return undefined;
  return { kind: 'end', name, attributes: [], next: at + name.length + 1 };
}

/** Adds name and value of the attribute at a place, and gives the place behind it. */
function readAttribute(xml: string, at: number, attributes: string[]): number | undefined {
  const name = nameAt(xml, at);
  if (name === undefined || valueOf(name, attributes) !== undefined) return undefined;
  const start = at + name.length + 2;
  const quote = xml[start - 1];
  if (xml[start - 2] !== '=' || (quote !== "'" && quote !== '"')) return undefined;
  const end = xml.indexOf(quote, start);
  if (end === -1) return undefined;
  const value = xml.slice(start, end);
  if (/[<\t\n]/.test(value)) return undefined;
  attributes.push(name, value);
  return end + 1;
}

function nameAt(xml: string, at: number): string | undefined {
  NAME.lastIndex = at;
  return NAME.exec(xml)?.[0];
}

function skipBlanks(xml: string, at: number): number {
  let next = at;
  while (xml[next] === ' ' || xml[next] === '\n' || xml[next] === '\t') next += 1;
  return next;
}
