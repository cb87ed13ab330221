/** A domain's document in two parts: what it has in common with others, and what is its own. */
export interface Shape {
  /** The document with a placeholder for each value of its own; it is itself a document of this shape. */
  readonly text: string;
  readonly name: string;
  /** By the number of their placeholder; each once. */
  readonly values: readonly string[];
}

/** Honest documents have not a quarter of it. */
const MAX_LENGTH = 65_536;

/** How libvirt begins the document of a domain. The number of a running one is of no use to anybody. */
const HEAD = /^<domain type='([a-z]+)'( id='\d+')?>\n {2}<name>([\w.-]+)<\/name>\n {2}<uuid>[\da-f-]{36}<\/uuid>\n/;

/** Text that stands for a value. It consists of nothing that a value could not consist of. */
const MARK = 'poolkeeper.placeholder.';

/** What comes first in a path, and in the name of a network device; it stays where it is. */
const FIRST = String.raw`\/[\w.+=-]+\/|vnet`;

/** Behind what a value begins, its first part, and the rest of it. */
const OWN = new RegExp(String.raw`(=['"]|>)(${FIRST})([\w.+=\/-]+)(?=['"<])`, 'g');

/** Behind what something is a document's own and names nothing: addresses of network cards, ports, UUIDs. */
const BEFORE_SILENT = [
  "<mac address='",
  String.raw`<source network='[\w.-]+' portid='`,
  "<graphics type='[a-z]+' port='",
  '<(?:image)?label>libvirt-',
  '<genid>',
];
const SILENT = new RegExp(String.raw`(?<before>${BEFORE_SILENT.join('|')})[\da-f:-]+(?=['<])`, 'g');

/** A value as it stands in the text of a shape. */
const HELD = new RegExp(String.raw`^(${FIRST})${MARK.replaceAll('.', String.raw`\.`)}(\d+)$`);

/**
 * Takes a domain's document apart. Its own are its name, UUID and number, and the rest of each whole attribute or text that
 * has the form of an absolute path with plain characters: of `/var/lib/images/a.img` that is `lib/images/a.img`. Equal values
 * get the same placeholder and others another. `undefined` for all that does not begin as libvirt begins it.
 */
export function takeShape(xml: string): Shape | undefined {
  const head = xml.length > MAX_LENGTH ? null : HEAD.exec(xml);
  if (head === null) return undefined;
  const [whole, type = '', id = '', name = ''] = head;
  const indexes = new Map<string, number>();
  const hold = (_: string, before: string, first: string, rest: string): string => {
    const index = indexes.get(rest) ?? indexes.size;
    indexes.set(rest, index);
    return `${before}${first}${MARK}${index}`;
  };
  const body = xml.slice(whole.length).replaceAll(SILENT, '$<before>0').replaceAll(OWN, hold);
  const text = `<domain type='${type}'${id === '' ? '' : " id='0'"}>\n  <name>n</name>\n  <uuid>u</uuid>\n${body}`;
  return { text, name, values: [...indexes.keys()] };
}

/** What comes before a placeholder, and its number; `undefined` when `text` is anything else. */
export function heldIn(text: string): { readonly first: string; readonly index: number } | undefined {
  const [, first, index] = HELD.exec(text) ?? [];
  return first === undefined ? undefined : { first, index: Number(index) };
}

/** How often a placeholder, or what looks like one, stands in a text. */
export function countMarks(text: string): number {
  return text.split(MARK).length - 1;
}
