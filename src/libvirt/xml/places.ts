import type { ImageName } from '../../core/backing-string.ts';
import type { DocumentKind, Reference } from '../../core/reference.ts';
import { readArgument } from './command-line.ts';
import { attributesOf, type Document, refusal } from './document.ts';
import { createLocator, type Locate } from './evidence.ts';
import { readImageName } from './image-name.ts';
import { isElement, NODE_TYPE, type XmlAttribute, type XmlElement, type XmlNode } from './node.ts';
import type { Rule, RuleContent } from './rule.ts';
import { matchRules } from './rule-match.ts';

/** What a place holds: a reference without its evidence. */
type Content = ImageName | { readonly kind: 'volume'; readonly value: string; readonly pool: string };

/** A reference, and whether a rule knew its place. */
interface Finding {
  readonly reference: Reference;
  readonly byRule: boolean;
}

/**
 * Goes once through a document: where a rule selects a place, its content is read as the rule says, anywhere else the
 * generic sweep takes what looks like a reference.
 */
export function readPlaces(kind: DocumentKind, document: Document): readonly Reference[] {
  const rules = matchRules(kind, document);
  const locate = createLocator();
  const excluded = new Set<XmlNode>();
  const findings = new Map<string, Finding>();
  for (const element of document.elements) {
    const isExcluded = rules.get(element)?.content === 'nothing';
    if (isExcluded || (element.parentNode !== null && excluded.has(element.parentNode))) excluded.add(element);
    else for (const finding of readElement(element, rules, locate)) addFinding(findings, finding);
  }
  return Array.from(findings.values(), ({ reference }) => reference);
}

/** The same thing may be named in several places: the first counts, but one that a rule knows before all others. */
function addFinding(findings: Map<string, Finding>, finding: Finding): void {
  const { evidence: _, ...identity } = finding.reference;
  const key = JSON.stringify(Object.values(identity));
  const known = findings.get(key);
  if (known === undefined || (finding.byRule && !known.byRule)) findings.set(key, finding);
}

function readElement(element: XmlElement, rules: ReadonlyMap<XmlNode, Rule>, locate: Locate): readonly Finding[] {
  const findings: Finding[] = [];
  const add = (contents: readonly Content[], byRule: boolean, step: string): void => {
    for (const content of contents.filter(({ value }) => value !== '')) {
      if (content.value.includes('\0')) throw refusal(`${locate(element)}${step} contains a NUL character`);
      findings.push({ reference: { ...content, evidence: locate(element) + step }, byRule });
    }
  };
  const rule = rules.get(element);
  add(readValue(ownText(element, rules), rule?.content), rule !== undefined, '');
  for (const attribute of attributesOf(element)) {
    const attributeRule = rules.get(attribute);
    add(readAttribute(element, attribute, attributeRule?.content), attributeRule !== undefined, `/@${attribute.name}`);
  }
  return findings;
}

/** The text directly inside an element, as libvirt reads it: in one piece, whatever comments stand in between. */
function ownText(element: XmlElement, rules: ReadonlyMap<XmlNode, Rule>): string {
  let text = '';
  for (let node = element.firstChild; node !== null; node = node.nextSibling) {
    const isText = node.nodeType === NODE_TYPE.text || node.nodeType === NODE_TYPE.cdata;
    if (isText && rules.get(node)?.content !== 'nothing') text += node.nodeValue ?? '';
  }
  return text;
}

function readAttribute(
  element: XmlElement,
  attribute: XmlAttribute,
  content: RuleContent | undefined,
): readonly Content[] {
  const { value } = attribute;
  const pool = attribute.name === 'volume' ? element.getAttribute('pool') : null;
  if (pool !== null && content !== 'nothing') return [{ kind: 'volume', value, pool }];
  const isSourceName = attribute.name === 'name' && element.localName === 'source';
  const protocol = isSourceName ? element.getAttribute('protocol') : null;
  if (protocol !== null && content !== 'nothing') {
    return imageNames(protocol, element).map((name) => ({ kind: 'network', value: name, protocol }));
  }
  if (content === 'argument') return readArgument(value, previousArgument(element));
  return readValue(value, content);
}

/**
 * An RBD image is needed under any of its names: a snapshot is part of its image, and a namespace may stand inside the
 * name (`pool/namespace/image`, libvirt 11.6) or beside it.
 */
export function imageNames(protocol: string, source: XmlElement): readonly string[] {
  const name = source.getAttribute('name') ?? '';
  if (protocol !== 'rbd') return [name];
  const image = name.replace(/@[^/]*$/, '');
  const namespace = source.getAttribute('namespace') ?? '';
  return namespace === '' ? [image] : [image, image.replace('/', () => `/${namespace}/`)];
}

function previousArgument(element: XmlElement): string | undefined {
  let node = element.previousSibling;
  while (node !== null && !isElement(node)) node = node.previousSibling;
  return node?.getAttribute('value') ?? undefined;
}

function readValue(value: string, content: RuleContent | undefined): readonly ImageName[] {
  if (value.trim() === '' || content === 'nothing') return [];
  if (content === 'path' || content === 'dir') return [{ kind: content, value }];
  if (content === 'fat') return [{ kind: 'dir', value, isFat: true }];
  return content === 'backing' ? readImageName(value) : sweep(value);
}

/** Takes everything that is an absolute path, for places that no rule knows: newer elements, other drivers' extensions. */
function sweep(value: string): readonly ImageName[] {
  const text = value.trim();
  if (text.startsWith('/')) return [{ kind: 'path', value }];
  return /^(?:json|file|fat|host_device):/.test(text) ? readImageName(text) : [];
}
