import { isElement, NODE_TYPE, type XmlAttribute, type XmlAttributes, type XmlElement, type XmlNode } from './node.ts';
import { decodePlain, type PlainXmlSink, readPlainXml } from './plain-xml.ts';

/** The root of a document of the plain kind, as a tree; `undefined` when it is not plain. */
export function parsePlainTree(xml: string): XmlElement | undefined {
  const document = new PlainNode(NODE_TYPE.document, '#document', null);
  return readPlainXml(xml, treeBuilder(document)) ? rootOf(document) : undefined;
}

function treeBuilder(document: PlainNode): PlainXmlSink {
  let parent = document;
  let order = 1;
  const append = (node: PlainNode): void => {
    node.order = order++;
    parent.append(node);
  };
  return {
    open: (name, attributes) => {
      const element = new PlainElement(name, attributes);
      append(element);
      order = element.attributes.number(order);
      parent = element;
    },
    text: (raw) => append(new PlainNode(NODE_TYPE.text, '#text', decodePlain(raw))),
    close: () => {
      parent = parent.parentNode ?? document;
    },
  };
}

function rootOf({ firstChild }: PlainNode): XmlElement | undefined {
  return firstChild !== null && isElement(firstChild) ? firstChild : undefined;
}

class PlainNode implements XmlNode {
  readonly nodeType: number;
  readonly nodeName: string;
  readonly nodeValue: string | null;
  parentNode: PlainNode | null = null;
  firstChild: PlainNode | null = null;
  lastChild: PlainNode | null = null;
  nextSibling: PlainNode | null = null;
  previousSibling: PlainNode | null = null;
  /** Its place in document order; attributes stand behind their element and before its children. */
  order = 0;

  constructor(nodeType: number, nodeName: string, nodeValue: string | null) {
    this.nodeType = nodeType;
    this.nodeName = nodeName;
    this.nodeValue = nodeValue;
  }

  /** What XPath sorts by, as DOM's flags: 2, the other one precedes; 4, it follows. All nodes are of one document. */
  compareDocumentPosition(other: PlainNode): number {
    if (this === other) return 0;
    return other.order < this.order ? 2 : 4;
  }

  append(child: PlainNode): void {
    child.parentNode = this;
    child.previousSibling = this.lastChild;
    if (this.lastChild === null) this.firstChild = child;
    else this.lastChild.nextSibling = child;
    this.lastChild = child;
  }
}

/** A node with a name that may have a prefix. */
class NamedNode extends PlainNode {
  readonly localName: string;
  /** For names with a prefix; XPath only asks whether there is one. */
  readonly namespaceURI: string | null;

  constructor(nodeType: number, name: string, value: string | null) {
    super(nodeType, name, value);
    const colon = name.indexOf(':');
    this.localName = colon === -1 ? name : name.slice(colon + 1);
    this.namespaceURI = colon === -1 ? null : name.slice(0, colon);
  }
}

class PlainAttribute extends NamedNode implements XmlAttribute {
  readonly name: string;
  readonly value: string;
  readonly ownerElement: PlainElement;

  constructor(name: string, value: string, ownerElement: PlainElement) {
    super(NODE_TYPE.attribute, name, value);
    this.name = name;
    this.value = value;
    this.ownerElement = ownerElement;
  }
}

class PlainElement extends NamedNode implements XmlElement {
  readonly attributes: PlainAttributes;

  constructor(name: string, attributes: readonly string[]) {
    super(NODE_TYPE.element, name, null);
    this.attributes = new PlainAttributes(attributes, this);
  }

  get parentElement(): XmlElement | null {
    return this.parentNode !== null && isElement(this.parentNode) ? this.parentNode : null;
  }

  get textContent(): string {
    let text = '';
    for (let node = this.firstChild; node !== null; node = node.nextSibling) {
      text += node instanceof PlainElement ? node.textContent : (node.nodeValue ?? '');
    }
    return text;
  }

  getAttribute(name: string): string | null {
    return this.attributes.getNamedItem(name)?.value ?? null;
  }
}

class PlainAttributes implements XmlAttributes {
  readonly #list: readonly PlainAttribute[];

  constructor(attributes: readonly string[], owner: PlainElement) {
    const list: PlainAttribute[] = [];
    for (let index = 0; index < attributes.length; index += 2) {
      list.push(new PlainAttribute(attributes[index] ?? '', decodePlain(attributes[index + 1] ?? ''), owner));
    }
    this.#list = list;
  }

  get length(): number {
    return this.#list.length;
  }

  /** Gives each its place in document order, from `order` on; returns the next. */
  number(order: number): number {
    this.#list.forEach((attribute, index) => {
      attribute.order = order + index;
    });
    return order + this.#list.length;
  }

  item(index: number): PlainAttribute | null {
    return this.#list[index] ?? null;
  }

  getNamedItem(name: string): PlainAttribute | null {
    return this.#list.find((attribute) => attribute.name === name) ?? null;
  }
}
