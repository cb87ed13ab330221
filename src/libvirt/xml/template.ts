import type { Reference } from '../../core/reference.ts';
import { attributesOf, parseDocument } from './document.ts';
import { NODE_TYPE, type XmlElement } from './node.ts';
import { parsePlainTree } from './plain-tree.ts';
import { type DocumentReading, readFully } from './references.ts';
import { countMarks, heldIn, type Shape } from './shape.ts';

/** What the documents of one shape name. */
export interface Template {
  readonly references: readonly { readonly reference: Reference; readonly value: Part }[];
  readonly rawImages: readonly Part[];
  readonly imageFormats: readonly { readonly value: Part; readonly formats: readonly string[] }[];
  readonly fixedChains: readonly Part[];
}

/** A text, behind which a value of the document comes if it has a number. */
interface Part {
  readonly first: string;
  readonly index: number | undefined;
}

/**
 * What keeps a document out of all this: places whose values are taken to pieces (arguments, names on networks, JSON and
 * other backing strings, entities), and what the plain reader does not take in any case.
 */
const DOUBTFUL = /&|<[!?]|commandline|override|protocol|slice|(?:json|file|fat|host_device|host_cdrom):/;

/**
 * Reads all documents of a shape at once; `undefined` when they have to be read one by one.
 *
 * Why that is the same: reading a document copies values, compares them with each other and with words of the rules, and asks
 * how they begin; and none of these can tell one document of a shape from another.
 * 1. They have the same elements and attributes: what a placeholder stands for ends no text and no attribute, and stands at the
 *    end of a whole attribute, or of a text that is all its element has (`countRight`).
 * 2. Values that are equal in one of them are equal in all: each whole attribute or text of the form that is taken is taken, its
 *    beginning stays, equal rests share a placeholder and others do not; and nothing becomes such a value later, since
 *    what is decoded or put together has no place here (`DOUBTFUL`, `isMixed`).
 * 3. No word in a rule has a slash or begins with `vnet`, but for `/dev/`. Whether a value begins with that is decided by what
 *    stays of it; and so it is for texts of elements that hold others, as what stays has two slashes, or is `vnet`.
 * 4. What is taken and not held (name, UUID and number of the domain, what comes behind `BEFORE_SILENT`)
 *    begins with no slash and no `file:` or the like, and no rule selects it: it is nothing to anybody.
 */
export function templateOf({ text }: Pick<Shape, 'text'>): Template | undefined {
  if (DOUBTFUL.test(text) || parsePlainTree(text) === undefined) return undefined;
  const { elements } = parseDocument(text);
  if (elements.some(isMixed) || countMarks(text) !== countRight(elements)) return undefined;
  const { found, rawImages, imageFormats, fixedChains, innerImages } = readFully(text);
  const template = {
    references: found.references.map((reference) => ({ reference, value: partOf(reference.value) })),
    rawImages: Array.from(rawImages, partOf),
    imageFormats: Array.from(imageFormats, ([value, formats]) => ({ value: partOf(value), formats })),
    fixedChains: Array.from(fixedChains, partOf),
  };
  return innerImages.length === 0 && isWhole(template) ? template : undefined;
}

/** Whether every placeholder in it is known as one. */
function isWhole({ references, rawImages, imageFormats, fixedChains }: Template): boolean {
  const images = imageFormats.map(({ value }) => value);
  const parts = [...references.map(({ value }) => value), ...rawImages, ...images, ...fixedChains];
  const formats = imageFormats.flatMap((image) => image.formats);
  const others = references.map(({ reference }) => JSON.stringify({ ...reference, value: '' }));
  return ![...parts.map(({ first }) => first), ...formats, ...others].some((text) => countMarks(text) > 0);
}

/** What a document names, by what the documents of its shape name. */
export function fillTemplate(template: Template, { name, values }: Shape): DocumentReading {
  const filled = ({ first, index }: Part): string => (index === undefined ? first : first + (values[index] ?? ''));
  return {
    found: {
      kind: 'domain',
      name,
      references: template.references.map(({ reference, value }) => ({ ...reference, value: filled(value) })),
    },
    rawImages: new Set(template.rawImages.map(filled)),
    imageFormats: new Map(template.imageFormats.map(({ value, formats }) => [filled(value), formats])),
    innerImages: [],
    fixedChains: new Set(template.fixedChains.map(filled)),
  };
}

function partOf(text: string): Part {
  return heldIn(text) ?? { first: text, index: undefined };
}

/** Whether an element holds text beside other elements: pieces of text are put together to one. */
function isMixed({ firstChild, lastChild }: XmlElement): boolean {
  if (firstChild === lastChild) return false;
  for (let node = firstChild; node !== null; node = node.nextSibling) {
    if (node.nodeType === NODE_TYPE.text && (node.nodeValue ?? '').trim() !== '') return true;
  }
  return false;
}

/** How many placeholders stand where they should. */
function countRight(elements: readonly XmlElement[]): number {
  let count = 0;
  for (const element of elements) {
    const texts = [element.firstChild?.nodeValue ?? '', ...attributesOf(element).map(({ value }) => value)];
    count += texts.filter((text) => heldIn(text) !== undefined).length;
  }
  return count;
}
