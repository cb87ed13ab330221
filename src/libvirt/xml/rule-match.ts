import type { Element, Node } from '@xmldom/xmldom';
import { type Expression, parse } from 'xpath';
import type { DocumentKind } from '../../core/reference.ts';
import type { Document } from './document.ts';
import { DOCUMENT_RULES } from './document-rules.ts';
import type { Rule } from './rule.ts';

/** Finds the places of a document that the rules of its kind select. The last rule that selects a place holds for it. */
export function matchRules(kind: DocumentKind, document: Document): ReadonlyMap<Node, Rule> {
  const places = new Map<Node, Rule>();
  for (const matcher of MATCHERS[kind]) {
    if (!matcher.mayMatch(document)) continue;
    for (const place of matcher.select(document)) places.set(place, matcher.rule);
  }
  return places;
}

interface Matcher {
  readonly rule: Rule;
  mayMatch(document: Document): boolean;
  select(document: Document): readonly Node[];
}

const COMPARISON = /\[(?!@[\w-]+\])[^\]]*\]/g;
const NAME = /(?<attribute>@?)(?<name>[A-Za-z][\w-]*)(?![\w(-])/g;
const LOCAL_NAME = /\*\[local-name\(\)='([\w-]+)'\]/g;
const ANYWHERE = /^\/\/([\w-]+)/;

/**
 * Prepares a rule. Two things make 100 rules cheap: a rule whose names do not all occur in the document is passed over,
 * and `//name…` starts from the elements of that name, which are already known, instead of searching for them.
 */
function compileMatcher(rule: Rule): Matcher {
  const plain = rule.xpath.replaceAll(LOCAL_NAME, '$1');
  const names = Array.from(plain.replaceAll(COMPARISON, '').matchAll(NAME), ({ groups }) => groups);
  const elements = names.flatMap((groups) => (groups?.['attribute'] === '' ? [groups['name'] ?? ''] : []));
  const attributes = names.flatMap((groups) => (groups?.['attribute'] === '@' ? [groups['name'] ?? ''] : []));
  const start = ANYWHERE.exec(plain)?.[1];
  const expression = lazily(() => parse(start === undefined ? rule.xpath : relativeExpression(rule.xpath)));
  return {
    rule,
    mayMatch: (document) =>
      elements.every((name) => document.elementsByName.has(name)) &&
      attributes.every((name) => document.attributeNames.has(name)),
    select: (document) => {
      const starts = start === undefined ? [document.root] : (document.elementsByName.get(start) ?? []);
      return starts.flatMap((element) => evaluate(expression(), element));
    },
  };
}

/** `//name[test]/rest` as seen from an element of that name: `self::name[test]/rest`. */
function relativeExpression(expression: string): string {
  return expression.replace(/^\/\//, 'self::');
}

function evaluate(expression: Expression, node: Element): readonly Node[] {
  return expression.evaluateNodeSet({ node, allowAnyNamespaceForNoPrefix: true }).toUnsortedArray();
}

/** Parsing an expression costs more than evaluating it, and most rules are for devices that a host does not have. */
function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

const MATCHERS: Readonly<Record<DocumentKind, readonly Matcher[]>> = {
  domain: DOCUMENT_RULES.domain.map(compileMatcher),
  domainsnapshot: DOCUMENT_RULES.domainsnapshot.map(compileMatcher),
  domaincheckpoint: DOCUMENT_RULES.domaincheckpoint.map(compileMatcher),
  domainbackup: DOCUMENT_RULES.domainbackup.map(compileMatcher),
  domstatus: DOCUMENT_RULES.domstatus.map(compileMatcher),
  volume: DOCUMENT_RULES.volume.map(compileMatcher),
  pool: DOCUMENT_RULES.pool.map(compileMatcher),
};
