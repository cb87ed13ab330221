import { childElements } from './document.ts';
import { isElement, type XmlElement } from './node.ts';

/** Writes down where an element stands, as an XPath that selects just it, e.g. `/domain/devices/disk[2]/source`. */
export type Locate = (element: XmlElement) => string;

/** A `Locate` for one document. It remembers what it wrote, so that a document of many references stays cheap. */
export function createLocator(): Locate {
  const paths = new Map<XmlElement, string>();
  return (element) => {
    const unknown: XmlElement[] = [];
    let base = '';
    for (let ancestor: XmlElement | undefined = element; ancestor !== undefined; ancestor = parentElement(ancestor)) {
      const known = paths.get(ancestor);
      if (known !== undefined) {
        base = known;
        break;
      }
      unknown.push(ancestor);
    }
    for (const step of unknown.toReversed()) {
      base = paths.get(step) ?? addChildren(paths, step);
    }
    return base;
  };
}

/** Writes the paths of an element and all its siblings, and gives that of the element. */
function addChildren(paths: Map<XmlElement, string>, element: XmlElement): string {
  const parent = parentElement(element);
  const base = parent === undefined ? '' : (paths.get(parent) ?? '');
  const siblings = parent === undefined ? [element] : Array.from(childElements(parent));
  const totals = new Map<string, number>();
  for (const { nodeName } of siblings) totals.set(nodeName, (totals.get(nodeName) ?? 0) + 1);
  const counts = new Map<string, number>();
  for (const sibling of siblings) {
    const { nodeName } = sibling;
    const position = (counts.get(nodeName) ?? 0) + 1;
    counts.set(nodeName, position);
    paths.set(sibling, `${base}/${nodeName}${totals.get(nodeName) === 1 ? '' : `[${position}]`}`);
  }
  return paths.get(element) ?? '';
}

function parentElement({ parentNode }: XmlElement): XmlElement | undefined {
  return parentNode !== null && isElement(parentNode) ? parentNode : undefined;
}
