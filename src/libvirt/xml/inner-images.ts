import type { Document } from './document.ts';
import { argumentsOf, readInnerArguments } from './inner-arguments.ts';
import { isRaw, SOURCE_ATTRIBUTES } from './raw-images.ts';

/**
 * The paths and volume names of images that begin somewhere inside a file (`<slice type='storage' offset='…'/>`, libvirt
 * 6.1; `file.offset=` on a command line): their header is not where headers are looked for. Raw images have none.
 */
export function readInnerImages(document: Document): readonly string[] {
  const { elementsByStep } = document;
  const found = new Set<string>();
  for (const slice of elementsByStep.get('slice') ?? []) {
    const source = slice.parentElement?.parentElement;
    if (!source || isRaw(source) || slice.getAttribute('offset') === '0') continue;
    for (const name of SOURCE_ATTRIBUTES) found.add(source.getAttribute(name) ?? '');
  }
  for (const image of readInnerArguments(argumentsOf(document))) found.add(image);
  found.delete('');
  return [...found];
}
