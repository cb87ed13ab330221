import { type DocumentReading, readDocument } from './references.ts';
import { takeShape } from './shape.ts';
import { fillTemplate, type Template, templateOf } from './template.ts';

/** Reads a document as `readDocument` does. @throws IntegrityError as `readReferences`. */
export type DocumentReader = (xml: string) => DocumentReading;

/** Of how many shapes is remembered what they name. */
const MOST_SHAPES = 200;

/**
 * A reader for the documents of one host. Most domains differ in names and numbers only: from the second of a shape on, it
 * reads the shape, once, and fills in what is the document's own. What comes out is what `readDocument` gives.
 */
export function createDocumentReader(): DocumentReader {
  const known = new Map<string, Template | 'met once' | 'of no use'>();
  const learn = (text: string): Template | undefined => {
    let state = known.get(text);
    if (state === undefined) {
      known.set(text, 'met once');
      if (known.size > MOST_SHAPES) known.delete(known.keys().next().value ?? '');
    } else if (state === 'met once') {
      state = templateOf({ text }) ?? 'of no use';
      known.set(text, state);
    }
    return typeof state === 'object' ? state : undefined;
  };
  return (xml) => {
    const shape = takeShape(xml);
    const template = shape === undefined ? undefined : learn(shape.text);
    return shape === undefined || template === undefined ? readDocument(xml) : fillTemplate(template, shape);
  };
}
