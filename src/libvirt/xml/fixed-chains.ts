import { childElements, type Document } from './document.ts';
import type { XmlElement } from './node.ts';
import { SOURCE_ATTRIBUTES } from './raw-images.ts';

/**
 * The paths and volume names whose backing chain a document spells out, be it as an end right there (`<backingStore/>`):
 * libvirt then goes by the document, whatever stands in the header of the image.
 *
 * Source: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms, `backingStore`.
 */
export function readFixedChains({ elementsByStep }: Document): ReadonlySet<string> {
  const disks = (elementsByStep.get('backingStore') ?? []).map(({ parentElement }) => parentElement);
  const sources = disks.flatMap((disk) => (disk?.localName === 'disk' ? [...childElements(disk)] : []));
  return new Set(sources.filter(({ localName }) => localName === 'source').flatMap(valuesOf));
}

function valuesOf(source: XmlElement): readonly string[] {
  return SOURCE_ATTRIBUTES.flatMap((attribute) => source.getAttribute(attribute) ?? []);
}
