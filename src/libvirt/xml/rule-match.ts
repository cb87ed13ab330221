import type { DocumentKind } from '../../core/reference.ts';
import { loadXPath } from './libraries.ts';
import { childElements, type Document } from './document.ts';
import { DOCUMENT_RULES } from './document-rules.ts';
import type { XmlAttribute, XmlElement, XmlNode } from './node.ts';
import type { Rule } from './rule.ts';

/** Finds the places of a document that the rules of its kind select. The last rule that selects a place holds for it. */
export function matchRules(kind: DocumentKind, document: Document): ReadonlyMap<XmlNode, Rule> {
  const places = new Map<XmlNode, Rule>();
  for (const matcher of matchersOf(kind)) {
    if (!matcher.mayMatch(document)) continue;
    for (const place of matcher.select(document)) places.set(place, matcher.rule);
  }
  return places;
}

interface Matcher {
  readonly rule: Rule;
  mayMatch(document: Document): boolean;
  select(document: Document): readonly XmlNode[];
}

const LOCAL_NAME = /\*\[local-name\(\)='([\w-]+)'\]/g;
const COMPARISON = /\[(?!@[\w-]+\])[^\]]*\]/g;
const ELEMENT_NAME = /(?<![@\w-])[A-Za-z][\w-]*(?![\w(-])/g;
const ATTRIBUTE_NAME = /(?<=@)[\w-]+/g;
const FIRST_STEP = /^\/\/(?:\*\[local-name\(\)='([\w-]+)'\]|([\w-]+(?:\[@type='[\w-]+'\])?))(.*)$/;

/**
 * Prepares a rule. Three things make so many rules cheap: one whose names do not all occur in the document is passed
 * over; `//name…` starts from the elements of that name and type, which are already known, instead of searching for them;
 * and plain steps are followed without XPath.
 */
function compileMatcher(rule: Rule): Matcher {
  const required = rule.xpath.replaceAll(LOCAL_NAME, '$1').replaceAll(COMPARISON, '');
  const elementNames = required.match(ELEMENT_NAME) ?? [];
  const attributeNames = required.match(ATTRIBUTE_NAME) ?? [];
  const [, localName, nameAndType, rest = ''] = FIRST_STEP.exec(rule.xpath) ?? [];
  const firstStep = localName ?? nameAndType;
  const startsOf = ({ root, elementsByStep }: Document): readonly XmlElement[] =>
    firstStep === undefined ? [root] : (elementsByStep.get(firstStep) ?? []);
  const select =
    firstStep === undefined
      ? (fromRoot(rule.xpath) ?? byXPath(rule.xpath))
      : (byPlainSteps(rest) ?? byXPath(relativeTo(rest)));
  return {
    rule,
    mayMatch: (document) =>
      startsOf(document).length > 0 &&
      elementNames.every((name) => document.elementsByStep.has(name)) &&
      attributeNames.every((name) => document.attributeNames.has(name)),
    select: (document) => startsOf(document).flatMap(select),
  };
}

/** What is left of `//name[@type='x'][test]/step` after its first step, as seen from an element that fits that step. */
function relativeTo(rest: string): string {
  return `self::*${rest}`;
}

type Select = (element: XmlElement) => readonly XmlNode[];

function byXPath(xpath: string): Select {
  const expression = lazily(() => loadXPath().parse(xpath));
  return (node) => expression().evaluateNodeSet({ node, allowAnyNamespaceForNoPrefix: true }).toUnsortedArray();
}

const PLAIN_STEPS = /^((?:\/(?:[\w-]+(?:\[@[\w-]+\])?|\*))*)(?:\/@([\w-]+)(?:\[starts-with\(\., '([^']+)'\)\])?)?$/;
const PLAIN_STEP = /\/([\w-]+|\*)(?:\[@([\w-]+)\])?/g;

/**
 * Follows `/name`, `/name[@attribute]`, `/*` and a last `/@attribute` or `/@attribute[starts-with(., 'x')]` as XPath would,
 * many times as fast.
 */
function byPlainSteps(rest: string): Select | undefined {
  const [, steps, last, prefix = ''] = PLAIN_STEPS.exec(rest) ?? [];
  if (steps === undefined) return undefined;
  const tests = Array.from(steps.matchAll(PLAIN_STEP), ([, name = '', attribute]) => ({ name, attribute }));
  return (start) => {
    let elements: readonly XmlElement[] = [start];
    for (const test of tests) elements = elements.flatMap((element) => childrenThatPass(element, test));
    return last === undefined ? elements : elements.flatMap((element) => attributeOf(element, last, prefix));
  };
}

/** Follows `/name…` from the root element of that name. */
function fromRoot(xpath: string): Select | undefined {
  const [, name, rest = ''] = /^\/([\w-]+)(.*)$/.exec(xpath) ?? [];
  const select = name === undefined ? undefined : byPlainSteps(rest);
  return select && ((root) => (root.nodeName === name ? select(root) : []));
}

function attributeOf({ attributes }: XmlElement, name: string, prefix: string): readonly XmlAttribute[] {
  const attribute = attributes.getNamedItem(name);
  return attribute?.value.startsWith(prefix) === true ? [attribute] : [];
}

interface StepTest {
  readonly name: string;
  readonly attribute: string | undefined;
}

/** As in XPath without prefixes: a name with one is another name. */
function childrenThatPass(parent: XmlElement, { name, attribute }: StepTest): readonly XmlElement[] {
  const children: XmlElement[] = [];
  for (const child of childElements(parent)) {
    if (name !== '*' && child.nodeName !== name) continue;
    if (attribute === undefined || child.attributes.getNamedItem(attribute) !== null) children.push(child);
  }
  return children;
}

/** Parsing an expression costs more than evaluating it, and most rules are for devices that a host does not have. */
function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

const prepared = new Map<DocumentKind, readonly Matcher[]>();

/** The rules of a kind, prepared when the first document of that kind is read. */
function matchersOf(kind: DocumentKind): readonly Matcher[] {
  const known = prepared.get(kind) ?? DOCUMENT_RULES[kind].map(compileMatcher);
  prepared.set(kind, known);
  return known;
}
