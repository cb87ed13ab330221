import { readArgument } from './command-line.ts';
import { childElements, type Document } from './document.ts';
import { type Argument, argumentsOf } from './inner-arguments.ts';
import { NODE_TYPE, type XmlElement } from './node.ts';
import { imageNames } from './places.ts';
import { SOURCE_ATTRIBUTES, SOURCE_ELEMENTS, statedFormat } from './raw-images.ts';

/**
 * The formats in which a document opens the images that it names, by path, volume name or network name: `''` where it states
 * none, `auto` where QEMU looks at the first bytes. What is missing here is named at a place where no image is opened: a
 * serial port, a source of entropy, a device that is passed through.
 */
export type ImageFormats = ReadonlyMap<string, readonly string[]>;

/** Elements whose source is opened as an image. */
const IMAGE_ELEMENTS: ReadonlySet<string> = new Set(
  'disk mirror backingStore dataStore src store nvram filesystem'.split(' '),
);

/** Elements whose own text is the path of a file that is taken as it is. */
const BLOBS: readonly string[] = ['kernel', 'initrd', 'dtb', 'loader', 'nvram'];

/** Options of QEMU that open an image. It looks for the format itself where none is given. */
const IMAGE_OPTION = /^--?(?:drive|blockdev|cdrom|hd[a-d]|fd[ab]|mtdblock|pflash|sd)$/;

/** Whether `-drive` or `-blockdev` says that there is no header to look for. */
export function saysRaw(value: string): boolean {
  return /(?:^|,)(?:format|driver)=raw(?:,|$)/.test(value);
}

/** Reads which images a document opens, and in which formats. */
export function readImageFormats(document: Document): ImageFormats {
  const { elementsByStep } = document;
  const formats = new Map<string, Set<string>>();
  const add = (value: string | null, format: string): void => {
    if (value === null || value === '') return;
    const known = formats.get(value);
    if (known === undefined) formats.set(value, new Set([format]));
    else known.add(format);
  };
  for (const source of SOURCE_ELEMENTS.flatMap((name) => elementsByStep.get(name) ?? [])) {
    if (!IMAGE_ELEMENTS.has(source.parentElement?.localName ?? '')) continue;
    const format = formatAt(source);
    for (const attribute of SOURCE_ATTRIBUTES) add(source.getAttribute(attribute), format);
    const protocol = source.getAttribute('protocol');
    if (protocol !== null) for (const name of imageNames(protocol, source)) add(name, format);
  }
  for (const mirror of elementsByStep.get('mirror') ?? [])
    add(mirror.getAttribute('file'), mirror.getAttribute('format') ?? '');
  for (const blob of BLOBS.flatMap((name) => elementsByStep.get(name) ?? []))
    if (blob.getAttribute('type') === null) add(textOf(blob), '');
  addArguments(argumentsOf(document), add);
  return new Map([...formats].map(([value, stated]) => [value, [...stated]]));
}

/** Reads which images a command line opens, and in which formats. */
export function formatsOfArguments(args: readonly Argument[]): ImageFormats {
  const formats = new Map<string, readonly string[]>();
  addArguments(args, (value, format) => {
    formats.set(value, [...new Set([...(formats.get(value) ?? []), format])]);
  });
  return formats;
}

/**
 * libvirt makes firmware variables anew where they are missing, from a template and without a backing file, and those of a domain
 * that never ran are not there yet: no chain, whatever format they are to have.
 */
function formatAt(source: XmlElement): string {
  const parent = source.parentElement;
  if (parent?.localName === 'nvram') return '';
  if (parent?.localName !== 'filesystem') return statedFormat(source) ?? '';
  for (const child of childElements(parent))
    if (child.localName === 'driver') return child.getAttribute('format') ?? '';
  return '';
}

/** The text directly inside an element: what stands in elements below it is not a part of the path. */
function textOf({ firstChild }: XmlElement): string {
  let text = '';
  for (let node = firstChild; node !== null; node = node.nextSibling) {
    if (node.nodeType === NODE_TYPE.text || node.nodeType === NODE_TYPE.cdata) text += node.nodeValue ?? '';
  }
  return text;
}

function addArguments(args: readonly Argument[], add: (value: string, format: string) => void): void {
  for (const { previous = '', value } of args) {
    if (!IMAGE_OPTION.test(previous)) continue;
    for (const name of readArgument(value, previous)) {
      if (name.kind !== 'text') add(name.value, saysRaw(value) ? 'raw' : 'auto');
    }
  }
}
