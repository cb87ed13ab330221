import { type BlockNode, parseBlockNodes, RAW_DRIVERS } from '../../core/backing-json.ts';
import { readArgument, splitItems } from './command-line.ts';
import type { Document } from './document.ts';
import { isElement } from './node.ts';

/** One argument of a hypervisor's command line, with the one before it, which may be its option. */
export interface Argument {
  readonly previous: string | undefined;
  readonly value: string;
}

/** A part of a block graph, as one argument describes it. */
interface Part {
  readonly nodes: readonly BlockNode[];
  /** Names by which other arguments refer to it, or to a part of it. */
  readonly nodeNames: readonly string[];
  /** A driver in it looks for a header: one that is no raw one, or one that QEMU finds out by itself. */
  readonly isFormatted: boolean;
  readonly images: readonly string[];
}

/** Options whose value names another node where it is no path. */
const CHILD_KEYS: ReadonlySet<string> = new Set(['file', 'data-file', 'backing', 'image']);

/**
 * The images that a command line opens somewhere inside a file (`file.offset=`, or a raw node with an offset below one of
 * another format): their header is not where headers are looked for. What is raw all the way up has none.
 */
export function readInnerArguments(args: readonly Argument[]): readonly string[] {
  const parts = args.flatMap(partsOf);
  const found = parts.filter((part) => part.isFormatted && hasOffset(part)).flatMap((part) => namesIn(part, parts));
  // A raw node with an offset, and by way of node names all that stands on it.
  const shifted = new Map(
    parts.filter((part) => hasOffset(part) && !part.isFormatted).map((part) => [part, namesIn(part, parts)]),
  );
  for (const [part, images] of shifted) {
    for (const above of parts.filter((other) => other !== part && isNamedIn(other, part))) {
      if (above.isFormatted) found.push(...images);
      else if (!shifted.has(above)) shifted.set(above, images);
    }
  }
  return [...new Set(found)];
}

function partsOf({ previous, value }: Argument): readonly Part[] {
  const option = /^--?(drive|blockdev)$/.exec(previous ?? '')?.[1];
  if (option === undefined) return [];
  const items = value.trimStart().startsWith('{') ? undefined : splitItems(value);
  const nodes = parseBlockNodes(items === undefined ? `json:${value}` : jsonOf(items)) ?? [];
  // `-drive` takes a whole image name as its file.
  const names = nodes.flatMap((node) => ['file', 'filename'].flatMap((key) => node.get(key) ?? []));
  const all = [...nodes, ...names.flatMap((name) => (name.startsWith('json:') ? (parseBlockNodes(name) ?? []) : []))];
  const drivers = all.flatMap((node) => ['driver', 'format'].flatMap((key) => node.get(key) ?? []));
  const isProbed = option === 'drive' && !(items ?? []).some(({ key }) => key === 'format' || key === 'driver');
  const images = readArgument(value, previous).flatMap(({ kind, value: image }) => (kind === 'text' ? [] : [image]));
  return [
    {
      nodes: all,
      nodeNames: all.flatMap((node) => node.get('node-name') ?? []),
      isFormatted: isProbed || drivers.some((driver) => !RAW_DRIVERS.has(driver)),
      images,
    },
  ];
}

/** `key=value,…` as an object of the same options. */
function jsonOf(items: ReturnType<typeof splitItems>): string {
  const options = items.flatMap(({ key, value }) => (key === undefined ? [] : [[key, value] as const]));
  return `json:${JSON.stringify(Object.fromEntries(options))}`;
}

function hasOffset({ nodes }: Part): boolean {
  return nodes.some((node) => !/^(?:0x0+|0+[a-z]?)$/i.test(node.get('offset') ?? '0'));
}

/** Whether a part names another one, or a node in it, as what it stands on. */
function isNamedIn({ nodes }: Part, { nodeNames }: Part): boolean {
  return nodes.some((node) => [...node].some(([key, value]) => CHILD_KEYS.has(key) && nodeNames.includes(value)));
}

/** What a part names, or what the nodes name that it stands on. */
function namesIn(part: Part, parts: readonly Part[]): readonly string[] {
  const below = new Set([part]);
  for (const each of below) for (const other of parts) if (isNamedIn(each, other)) below.add(other);
  const names = [...below].flatMap(({ images }) => images);
  return names.length > 0 ? names : part.nodeNames;
}

/** The arguments of the command lines in a document. */
export function argumentsOf({ elementsByStep }: Document): readonly Argument[] {
  const elements = (elementsByStep.get('arg') ?? []).filter(
    ({ parentElement }) => parentElement?.localName === 'commandline',
  );
  return elements.map((element) => {
    let before = element.previousSibling;
    while (before !== null && !isElement(before)) before = before.previousSibling;
    return { previous: before?.getAttribute('value') ?? undefined, value: element.getAttribute('value') ?? '' };
  });
}

/** The files with more arguments that a command line has QEMU read. */
export function readConfigFiles(args: readonly Argument[]): readonly string[] {
  return args.flatMap(({ previous, value }) => (/^--?readconfig$/.test(previous ?? '') && value !== '' ? [value] : []));
}
