/** What is used of a node of a parsed document: a part of DOM, which two kinds of trees have (`document.ts`). */
export interface XmlNode {
  readonly nodeType: number;
  readonly nodeName: string;
  readonly nodeValue: string | null;
  readonly parentNode: XmlNode | null;
  readonly firstChild: XmlNode | null;
  readonly lastChild: XmlNode | null;
  readonly nextSibling: XmlNode | null;
  readonly previousSibling: XmlNode | null;
}

/** An attribute. */
export interface XmlAttribute extends XmlNode {
  readonly name: string;
  readonly localName: string | null;
  readonly value: string;
}

/** The attributes of an element, in document order. */
export interface XmlAttributes {
  readonly length: number;
  item(index: number): XmlAttribute | null;
  getNamedItem(name: string): XmlAttribute | null;
}

/** An element. */
export interface XmlElement extends XmlNode {
  readonly localName: string | null;
  readonly attributes: XmlAttributes;
  readonly parentElement: XmlElement | null;
  readonly textContent: string | null;
  getAttribute(name: string): string | null;
}

/** The kinds of nodes, by DOM's numbers. */
export const NODE_TYPE = { element: 1, attribute: 2, text: 3, cdata: 4, document: 9 } as const;

/** Whether a node is an element. */
export function isElement(node: XmlNode): node is XmlElement {
  return node.nodeType === NODE_TYPE.element;
}
