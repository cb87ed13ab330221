// oxlint-disable-next-line no-restricted-imports -- it loads libraries of this folder, and nothing else
import { createRequire } from 'node:module';
import type * as Xmldom from '@xmldom/xmldom';
import type * as FastXmlParser from 'fast-xml-parser';
import type * as XPath from 'xpath';

/*
 * The libraries for XML, each loaded when the first document needs it. Most hosts have none that does, and the parsers take up to
 * half as long as Node to start. They must be there at once, so they are required, not imported.
 */

const load = createRequire(import.meta.url);

/** The DOM parser. */
export function loadXmldom(): typeof Xmldom {
  return load('@xmldom/xmldom') as typeof Xmldom;
}

export function loadXPath(): typeof XPath {
  return load('xpath') as typeof XPath;
}

/** The parser for small documents. */
export function loadFastXmlParser(): typeof FastXmlParser {
  return load('fast-xml-parser') as typeof FastXmlParser;
}
