import * as fc from 'fast-check';
import type { DocumentReading } from '../../../../src/libvirt/xml/references.ts';
import type { Shape } from '../../../../src/libvirt/xml/shape.ts';

const HEAD = '  <name>n1</name>\n  <uuid>6b1d7f5c-2d44-4f0f-9a55-0c8c1d7f3013</uuid>\n';

/** The same domain, with the beginning that libvirt gives to it. */
export function asLibvirtBegins(xml: string): string {
  const id = /^<domain[^>]* (id='\d+')/.exec(xml)?.[1];
  const bare = xml.replace(/<name>[^<]*<\/name>\s*/, '').replace(/<uuid>[^<]*<\/uuid>\s*/, '');
  return bare.replace(/^<domain(?: [^>]*)?>\n?/, `<domain type='kvm'${id === undefined ? '' : ` ${id}`}>\n${HEAD}`);
}

/** What means something in documents of domains, or comes near to the form of what is taken out of them. */
export const ODDITIES = [
  `'/a/b'|"/a/b"|>/a/b<|/dev/|/dev|'vnet3'|>vnet3<|vnet|/|<x/>|&amp;|<!---->|poolkeeper.placeholder.0|commandline|json:`,
  "<backingStore/>|<source file='/a/b'/>|<kernel>/a/b</kernel>|<char>/dev/b</char>|<char>/<x>/dev/x</x></char>|file:/a/b",
  " type='raw'| type='/a/b'| pool='p'| volume='/a/b'| name='/a/b'| protocol='rbd'| dev='vnet3'| file='/a/b'",
  "<mac address='52:54:00:5c:0f:11'/>|<graphics type='vnc' port='5900'/>|<label>libvirt-6b1d</label>|<genid>6b1d</genid>|<source network='n' portid='6b1d'/>|<backend model='random'>",
].flatMap((tokens) => tokens.split('|'));

const ELEMENTS =
  'devices disk source driver backingStore mirror target os kernel initrd nvram loader char block path name label emulator' +
  ' hostdev rng backend input audio serial console log interface filesystem memory volume slices format dataStore metadata';
const ATTRIBUTES = 'type file dev dir path pool volume name model device startupPolicy tty template offset';
const VALUES =
  'file block volume network raw qcow2 cdrom mount misc random storage 0 /a/b /a/c /c/b /dev/b /dev/x/y /dev vnet3 vnet4 vnet' +
  ' /a/b/ //a/b /a /a//b a/b /a/b: /a/../b p v';
const words = (text: string): fc.Arbitrary<string> => fc.constantFrom(...text.split(' '));

const TAG = fc
  .tuple(words(ELEMENTS), fc.dictionary(words(ATTRIBUTES), words(VALUES), { maxKeys: 3 }))
  .map(([name, attributes]) => ({
    name,
    start: [name, ...Object.entries(attributes).map(([key, value]) => `${key}='${value}'`)].join(' '),
  }));

const { element: ELEMENT } = fc.letrec<{ element: string }>((tie) => {
  const text = words(VALUES);
  const inner = fc.oneof(
    { maxDepth: 5 },
    { arbitrary: text, weight: 3 },
    { arbitrary: fc.array(tie('element'), { maxLength: 4 }).map((elements) => elements.join('')), weight: 5 },
    { arbitrary: fc.tuple(text, tie('element'), text).map((parts) => parts.join('')), weight: 1 },
  );
  return {
    element: fc
      .tuple(TAG, inner)
      .map(([{ name, start }, content]) => (content === '' ? `<${start}/>` : `<${start}>${content}</${name}>`)),
  };
});

/** Domains of anything that rules ask for, in any place. */
export const DOMAINS = fc
  .array(ELEMENT, { minLength: 1, maxLength: 6 })
  .map((elements) => asLibvirtBegins(`<domain>${elements.join('\n')}</domain>`));

/** What may stand behind the beginning of a value. */
export const RESTS = fc.oneof(
  fc.constantFrom(
    ...'b b/ c /b .. ../a dev dev/x raw 0 a=b lib/x.qcow2 vnet3 poolkeeper.placeholder.0 /dev/x'.split(' '),
  ),
  fc.stringMatching(/^[\w.+=/-]{1,12}$/),
);

/** Another document of a shape, with these values in place of its own as far as they go; no two of them the same. */
export function otherOfShape({ text, values }: Shape, rests: readonly string[]): string {
  const others = [...new Set([...rests, ...values.map((_, index) => `other${index}`)])];
  return text
    .replace(/<name>n<.*\n.*\n/, HEAD.trimStart())
    .replaceAll(
      /((?:=['"]|>)(?:\/[\w.+=-]+\/|vnet))poolkeeper\.placeholder\.(\d+)(?=['"<])/g,
      (_, before, index) => `${before}${others[Number(index)]}`,
    );
}

/** What reading gave, or why it failed. */
export function outcomeOf(read: () => DocumentReading): unknown {
  try {
    const { rawImages, fixedChains, ...others } = read();
    return { ...others, rawImages: [...rawImages], fixedChains: [...fixedChains] };
  } catch (error) {
    return String(error);
  }
}
