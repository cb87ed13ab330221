import { childElements, type Document } from './document.ts';
import type { XmlElement } from './node.ts';

/** The elements that name what a device, a block job or a backup opens. */
export const SOURCE_ELEMENTS = ['source', 'target', 'scratch'];
/** The attributes by which a source names a file, a device or a volume. */
export const SOURCE_ATTRIBUTES = ['file', 'dev', 'volume'];

/** Without a format of their own these are images of discs. */
const REMOVABLE_MEDIA: ReadonlySet<string> = new Set(['cdrom', 'floppy']);

/**
 * The paths and volume names that a document opens as raw bytes and in no other way: the `driver` or `format` beside the
 * source says so. QEMU looks for no header in them, so no other image can stand behind them.
 */
export function readRawImages({ elementsByStep }: Document): ReadonlySet<string> {
  const raw = new Set<string>();
  const other = new Set<string>();
  for (const source of SOURCE_ELEMENTS.flatMap((name) => elementsByStep.get(name) ?? [])) {
    for (const attribute of SOURCE_ATTRIBUTES) {
      const value = source.getAttribute(attribute);
      if (value !== null) (isRaw(source) ? raw : other).add(value);
    }
  }
  return new Set([...raw].filter((value) => !other.has(value)));
}

/** Whether the driver or format beside a source says that its bytes are taken as they are. */
export function isRaw(source: XmlElement): boolean {
  return statedFormat(source) === 'raw';
}

/** The format that the driver or format beside a source states; `undefined` where there is none. */
export function statedFormat({ parentElement }: XmlElement): string | undefined {
  if (parentElement === null) return undefined;
  for (const { localName, attributes } of childElements(parentElement)) {
    const type = attributes.getNamedItem('type')?.value;
    if ((localName === 'driver' || localName === 'format') && type !== undefined) return type;
  }
  return REMOVABLE_MEDIA.has(parentElement.getAttribute('device') ?? '') ? 'raw' : undefined;
}
