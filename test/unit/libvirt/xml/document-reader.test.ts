import { expect } from 'chai';
import * as fc from 'fast-check';
import { createDocumentReader } from '../../../../src/libvirt/xml/document-reader.ts';
import { DOCUMENT_RULES } from '../../../../src/libvirt/xml/document-rules.ts';
import { readFully } from '../../../../src/libvirt/xml/references.ts';
import { takeShape } from '../../../../src/libvirt/xml/shape.ts';
import { fillTemplate, templateOf } from '../../../../src/libvirt/xml/template.ts';
import { domainXml } from '../../../support/qemu.ts';
import { mutated } from '../../../fuzz/mutation.ts';
import { samplesOf } from './samples.ts';
import { asLibvirtBegins, DOMAINS, ODDITIES, otherOfShape, outcomeOf, RESTS } from './shapes.ts';

const SAMPLES = samplesOf('domain').map(asLibvirtBegins);
const NUM_RUNS = Number(process.env['SHAPE_RUNS'] ?? 2000);

describe('createDocumentReader', () => {
  it('reads what it has read before as it read it then', () => {
    const read = createDocumentReader();
    for (const xml of [...SAMPLES, ...SAMPLES, ...SAMPLES, ...samplesOf('volume')]) {
      expect(outcomeOf(() => read(xml))).to.deep.equal(outcomeOf(() => readFully(xml)));
    }
  });

  it('reads each of many domains by its own names', () => {
    const read = createDocumentReader();
    for (let index = 0; index < 500; index += 1) {
      const disks = [`/srv/images/a${index % 7}`, `/srv/images/b${index}`, '/srv/images/shared'].map((path) => ({
        path,
      }));
      const xml = asLibvirtBegins(domainXml({ name: `d${index}`, disks: disks.slice(index % 2) }));
      expect(read(xml)).to.deep.equal(readFully(xml));
    }
  });

  it('forgets no document when there are more shapes than it remembers', () => {
    const read = createDocumentReader();
    for (const round of [1, 2, 3]) {
      for (let index = 0; index < 450; index += 1) {
        const xml = asLibvirtBegins(`<domain><devices><a b${index}='/x/y${round}'/></devices></domain>`);
        expect(read(xml)).to.deep.equal(readFully(xml));
      }
    }
  });

  it('puts no texts of different elements together', () => {
    const read = createDocumentReader();
    for (const path of ['/a/b', '/a/c', '/a/d']) {
      const xml = asLibvirtBegins(`<domain><os><kernel><x>${path}</x><x>0</x></kernel></os></domain>`);
      expect(read(xml)).to.deep.equal(readFully(xml));
    }
  });

  it('gives what each document gives by itself, whatever stands in place of its values', () => {
    const taken = { count: 0 };
    const inputs = fc.oneof(mutated({ seeds: SAMPLES, tokens: ODDITIES }).map(String), {
      arbitrary: DOMAINS,
      weight: 3,
    });
    fc.assert(
      fc.property(inputs, fc.array(RESTS, { minLength: 8, maxLength: 8 }), (xml, rests) => {
        if (isReadAlike(xml, rests)) taken.count += 1;
      }),
      { numRuns: NUM_RUNS },
    );
    expect(taken.count).to.be.greaterThan(NUM_RUNS / 5);
  });

  function isReadAlike(xml: string, rests: readonly string[]): boolean {
    const shape = takeShape(xml);
    const template = shape && templateOf(shape);
    if (shape === undefined || template === undefined) return false;
    const otherXml = otherOfShape(shape, rests);
    const other = takeShape(otherXml);
    expect(other?.text).to.equal(shape.text);
    expect(outcomeOf(() => fillTemplate(template, shape))).to.deep.equal(outcomeOf(() => readFully(xml)));
    expect(outcomeOf(() => fillTemplate(template, other ?? shape))).to.deep.equal(outcomeOf(() => readFully(otherXml)));
    return true;
  }
});

describe('templateOf', () => {
  const REFUSED: Readonly<Record<string, string>> = {
    'the value goes on behind a child': '<os><kernel>/a/b<x/>c</kernel><initrd>/a/bc</initrd></os>',
    'another value is put together': '<os><kernel>/a<x/>/b</kernel><initrd>/a/b</initrd></os>',
    'the value stands inside another': "<description>x='/a/b'</description>",
    'a name on a network is put together':
      "<disk type='network'><source protocol='rbd' name='/a/b' namespace='n'/></disk>",
    'an argument is taken to pieces': "<commandline><arg value='/a/b'/></commandline>",
    'another value is decoded': "<x y='file:/a/b'/><x y='/a/b'/>",
    'an entity may stand for anything': "<x y='/a/b&#47;'/>",
    'a pool is called like a path': "<filesystem type='volume'><source pool='/a/b' volume='v'/></filesystem>",
    'it is not plain': "<x y='/a/b'/><!-- -->",
    'a part of a file is meant':
      "<disk><source file='/a/b'><slices><slice type='storage' offset='1'/></slices></source></disk>",
    'its text looks like a placeholder': "<x y='poolkeeper.placeholder.0 '/><x y='/a/b'/>",
  };
  for (const [why, devices] of Object.entries(REFUSED)) {
    it(`refuses a shape when ${why}`, () => {
      const shape = takeShape(asLibvirtBegins(`<domain>${devices}</domain>`));
      expect([typeof shape?.text, shape && templateOf(shape)]).to.deep.equal(['string', undefined]);
    });
  }

  it('takes two running domains for one shape', () => {
    const live =
      samplesOf('domain')
        .find((xml) => xml.includes("portid='"))
        ?.replace('<cpu', '<genid>12ab-3</genid><cpu') ?? '';
    const other = live
      .replaceAll('web1', 'mail2')
      .replaceAll('6b1d7f5c-', '00000000-')
      .replace("id='5'", "id='17'")
      .replaceAll(/(?<=portid='6|52:54:00:|vnet|pts\/|channel\/)\w/g, '8')
      .replace('12ab-3', '45-6');
    const [shape, otherShape] = [takeShape(live), takeShape(other)];
    expect(other).to.not.equal(live);
    expect(otherShape?.text).to.equal(shape?.text);
    const template = shape && templateOf(shape);
    expect(template && otherShape && fillTemplate(template, otherShape)).to.deep.equal(readFully(other));
  });

  it('takes what most domains are', () => {
    const taken = SAMPLES.map(takeShape).filter((shape) => shape !== undefined && templateOf(shape) !== undefined);
    expect(taken.length).to.be.greaterThan(4);
  });

  it('rests on what the rules for domains ask', () => {
    const rules = DOCUMENT_RULES.domain;
    const words = rules.flatMap(({ xpath }) => Array.from(xpath.matchAll(/'([^']*)'/g), ([, word = '']) => word));
    expect(words.filter((word) => word.includes('/') && word !== '/dev/')).to.deep.equal([]);
    expect(words.filter((word) => word.startsWith('vnet') || 'vnet'.startsWith(word))).to.deep.equal([]);
    const functions = new Set(rules.flatMap(({ xpath }) => xpath.match(/[\w-]+(?=\()/g) ?? []));
    expect([...functions].toSorted()).to.deep.equal(['local-name', 'normalize-space', 'not', 'starts-with', 'text']);
    const silent = rules.filter(({ xpath }) =>
      /(?:^|[/@:])(?:address|port|portid|label|imagelabel|genid|name|uuid|id)$/.test(xpath),
    );
    expect(silent.filter(({ content }) => content !== 'nothing').map(({ xpath }) => xpath)).to.deep.equal(
      rules.filter(({ xpath }) => xpath.endsWith('[@protocol]/@name')).map(({ xpath }) => xpath),
    );
    expect(rules.filter(({ xpath }) => /\/@?\*$/.test(xpath))).to.deep.equal([]);
  });
});
