import type { Document } from './document.ts';
import { isRaw, SOURCE_ATTRIBUTES } from './raw-images.ts';

/**
 * The paths and volume names of images that begin somewhere inside a file (`<slice type='storage' offset='…'/>`, libvirt
 * 6.1): their header is not where headers are looked for. Raw images have none.
 */
export function readInnerImages({ elementsByStep }: Document): readonly string[] {
  const found = new Set<string>();
  for (const slice of elementsByStep.get('slice') ?? []) {
    const source = slice.parentElement?.parentElement;
    if (!source || isRaw(source) || slice.getAttribute('offset') === '0') continue;
    for (const name of SOURCE_ATTRIBUTES) found.add(source.getAttribute(name) ?? '');
  }
  found.delete('');
  return [...found];
}
