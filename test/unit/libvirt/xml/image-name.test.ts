import { expect } from 'chai';
import type { ImageName } from '../../../../src/core/backing-string.ts';
import { readImageName } from '../../../../src/libvirt/xml/image-name.ts';

function path(value: string): ImageName {
  return { kind: 'path', value };
}

function text(value: string): ImageName {
  return { kind: 'text', value };
}

const NAMES: readonly (readonly [text: string, expected: readonly ImageName[]])[] = [
  ['[datastore] a:b/c.vmdk', [path('[datastore] a:b/c.vmdk')]],
  ['rel/a:b', [path('rel/a:b')]],
  ['file://host/a', [path('/host/a'), text('file://host/a')]],
  ['a:b', [text('a:b')]],
  ['nbd://host', [text('nbd://host')]],
  ['rbd:p/i:key=secret', [{ kind: 'network', protocol: 'rbd', value: 'p/i' }, text('rbd:p/i')]],
  ['file:rel', [path('rel')]],
  ['host_device:/dev/vg/lv', [path('/dev/vg/lv')]],
  ['json:{}', [text('json:{}')]],
  ['json:"/a"', [text('json:"/a"')]],
  [
    'json:{"driver":"qcow2","file":{"driver":"file","filename":"/a"},"data-file":{"driver":"file","filename":"/b"}}',
    [path('/a'), path('/b')],
  ],
];

describe('readImageName', () => {
  for (const [string, expected] of NAMES) {
    it(`reads ${string}`, () => {
      expect(readImageName(string)).to.deep.equal(expected);
    });
  }
});
