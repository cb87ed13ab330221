import { deepStrictEqual } from 'node:assert';
import { readDocument, readFully } from '../../src/libvirt/xml/references.ts';
import { takeShape } from '../../src/libvirt/xml/shape.ts';
import { fillTemplate, templateOf } from '../../src/libvirt/xml/template.ts';
import { asLibvirtBegins, ODDITIES, otherOfShape } from '../unit/libvirt/xml/shapes.ts';
import { samplesOf } from '../unit/libvirt/xml/samples.ts';
import type { Target } from './targets.ts';

const RESTS = ['dev', 'dev/x', 'b', '..', 'raw', 'a=b'];

/** The quick ways to read a document: each has to give what reading it in full gives. */
export function readingTarget(): Target {
  const seeds = [...samplesOf('volume'), ...samplesOf('domain').map(asLibvirtBegins)];
  return {
    name: 'documents read in the quick ways',
    material: { seeds, tokens: ODDITIES },
    read: (input) => {
      const xml = input.toString();
      const inFull = readFully(xml);
      deepStrictEqual(readDocument(xml), inFull);
      const shape = takeShape(xml);
      const template = shape && templateOf(shape);
      if (shape === undefined || template === undefined) return;
      deepStrictEqual(fillTemplate(template, shape), inFull);
      const other = otherOfShape(shape, RESTS);
      const otherShape = takeShape(other);
      deepStrictEqual(otherShape?.text, shape.text);
      if (otherShape !== undefined) deepStrictEqual(fillTemplate(template, otherShape), readFully(other));
    },
  };
}
