import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
} from 'yaml';
import type { Mistake, Position } from './mistake.ts';

/** A configuration file as it is written, every part with its place. */
export type Tree = Position &
  (
    | { readonly kind: 'value'; readonly text: string }
    | { readonly kind: 'nothing' }
    /** What is wrong with it was said already. */
    | { readonly kind: 'refused' }
    | { readonly kind: 'list'; readonly members: readonly Tree[] }
    | { readonly kind: 'map'; readonly entries: readonly Entry[] }
  );

/** One key of a map; its place is that of the key. */
export interface Entry extends Position {
  readonly key: string;
  readonly value: Tree;
}

interface Reading {
  readonly document: Document;
  readonly places: LineCounter;
  readonly mistakes: Mistake[];
  /** How many parts it may still have. */
  partsLeft: number;
}

/** More than any configuration says; anchors can say much more in a few lines. */
const MOST_PARTS = 20_000;

/** Deeper than any configuration; an anchor that holds itself has no end. */
const DEEPEST = 8;

/** Reads YAML 1.2. Where the text is no YAML, `tree` is `undefined`: what it says cannot be told then. */
export function parseTree(text: string): { readonly tree: Tree | undefined; readonly mistakes: readonly Mistake[] } {
  const places = new LineCounter();
  const document = parseDocument(text, { lineCounter: places, prettyErrors: false, version: '1.2' });
  const reading: Reading = { document, places, mistakes: [], partsLeft: MOST_PARTS };
  const complaints = [...document.errors, ...document.warnings];
  for (const { code, message, pos } of complaints) {
    const position = positionAt(pos[0], places);
    if (reading.mistakes.some(({ line }) => line === position.line)) continue;
    reading.mistakes.push({ ...position, ...complaintOf(code, message, text.slice(...pos)) });
  }
  const isReadable = complaints.every(({ code }) => code === 'DUPLICATE_KEY');
  return { tree: isReadable ? toTree(document.contents, reading) : undefined, mistakes: reading.mistakes };
}

function complaintOf(code: string, message: string, found: string): Pick<Mistake, 'message' | 'hint'> {
  switch (code) {
    case 'DUPLICATE_KEY':
      return { message: `a key stands here for a second time`, hint: 'remove one of the two' };
    case 'TAB_AS_INDENT':
      return { message: 'a tab cannot indent a line', hint: 'use spaces' };
    case 'BLOCK_AS_IMPLICIT_KEY':
      return {
        message: 'there is a second colon in this line',
        hint: `put a value that holds ': ' in quotes, and every key on a line of its own`,
      };
    case 'BAD_SCALAR_START':
      return { message: `a value cannot begin with ${found.slice(0, 1)}`, hint: 'put it in quotes' };
    case 'MULTIPLE_DOCS':
      return { message: 'a second document begins here', hint: `remove the line '---'` };
    case 'TAG_RESOLVE_FAILED':
      return { message: 'tags have no meaning here', hint: `put a value that begins with '!' in quotes` };
    default:
      return {
        message: `this is not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`,
        hint: 'see poolkeeper.yaml(5) for an example',
      };
  }
}

function toTree(node: Node | null, reading: Reading, depth = 0): Tree {
  const position = placeOf(node, reading);
  reading.partsLeft -= 1;
  if (reading.partsLeft === -1) return refuse(position, 'this says too much', reading);
  if (reading.partsLeft < 0) return { kind: 'refused', ...position };
  if (depth > DEEPEST) return refuse(position, 'this is nested too deeply', reading);
  if (isAlias(node)) return { ...followAlias(node, reading, depth + 1), ...position };
  if (isSeq<Node | null>(node)) {
    return { kind: 'list', members: node.items.map((item) => toTree(item, reading, depth + 1)), ...position };
  }
  if (isMap<Node, Node | null>(node)) {
    return { kind: 'map', entries: node.items.flatMap((pair) => toEntry(pair, reading, depth + 1)), ...position };
  }
  const text = isScalar(node) ? textOf(node) : undefined;
  return text === undefined ? { kind: 'nothing', ...position } : { kind: 'value', text, ...position };
}

function followAlias(alias: Alias, reading: Reading, depth: number): Tree {
  const target = alias.resolve(reading.document);
  return target === undefined
    ? refuse(placeOf(alias, reading), `no anchor '${alias.source}' stands before this`, reading)
    : toTree(target, reading, depth);
}

/** As it was written, not as YAML understands it: `1.10` and `0755` are texts until somebody wants a number. */
function textOf({ value, source }: Scalar): string | undefined {
  if (value === null) return undefined;
  return typeof value === 'string' ? value : source;
}

/** A missing value has the place of its key. */
function toEntry({ key, value }: Pair<Node, Node | null>, reading: Reading, depth: number): readonly Entry[] {
  const position = placeOf(key, reading);
  if (!isScalar(key)) {
    refuse(position, 'a key must be a word', reading);
    return [];
  }
  const tree = toTree(value, reading, depth);
  return [{ key: String(key.value), value: tree.kind === 'nothing' ? { ...tree, ...position } : tree, ...position }];
}

function refuse(position: Position, message: string, { mistakes }: Reading): Tree {
  mistakes.push({ ...position, message, hint: 'see poolkeeper.yaml(5) for an example' });
  return { kind: 'refused', ...position };
}

function placeOf(node: Node | null, { places }: Reading): Position {
  return positionAt(node?.range?.[0] ?? 0, places);
}

function positionAt(offset: number, places: LineCounter): Position {
  const { line, col } = places.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}
