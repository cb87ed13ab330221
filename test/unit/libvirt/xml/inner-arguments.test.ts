import { expect } from 'chai';
import { readInnerArguments } from '../../../../src/libvirt/xml/inner-arguments.ts';

type Row = readonly [title: string, args: readonly (readonly [string, string])[], expected: readonly string[]];

const RAW_PART = '{"driver":"raw","node-name":"part","offset":65536,"file":"f"}';
const FILE = '{"driver":"file","node-name":"f","filename":"/a"}';

const ROWS: readonly Row[] = [
  ['a drive with a format', [['-drive', 'format=qcow2,file.driver=raw,file.offset=512,file.file.filename=/a']], ['/a']],
  ['a drive that QEMU probes', [['-drive', 'file.driver=raw,file.offset=64k,file.file.filename=/a']], ['/a']],
  ['a drive that is raw', [['-drive', 'format=raw,file.driver=raw,file.offset=512,file.file.filename=/a']], []],
  ['a drive that begins where its file does', [['-drive', 'format=qcow2,file.offset=0,file.file.filename=/a']], []],
  [
    'a drive with a name in JSON',
    [['-drive', 'file=json:{"driver":"qcow2",,"file":{"driver":"raw",,"offset":512,,"file":"/a"}}']],
    ['/a'],
  ],
  [
    'one block device',
    [['-blockdev', 'driver=qcow2,node-name=n,file.driver=raw,file.offset=512,file.file.filename=/a']],
    ['/a'],
  ],
  [
    'one block device in JSON',
    [['-blockdev', '{"driver":"qcow2","file":{"driver":"raw","offset":512,"file":{"driver":"file","filename":"/a"}}}']],
    ['/a'],
  ],
  [
    'block devices that name each other',
    [
      ['-blockdev', FILE],
      ['-blockdev', RAW_PART],
      ['-blockdev', '{"driver":"qcow2","node-name":"q","file":"part"}'],
    ],
    ['/a'],
  ],
  [
    'block devices that name each other through a raw one',
    [
      ['-blockdev', '{"driver":"qcow2","node-name":"q","file":"between"}'],
      ['-blockdev', 'driver=raw,node-name=between,file=part'],
      ['-blockdev', RAW_PART],
      ['-blockdev', FILE],
    ],
    ['/a'],
  ],
  [
    'block devices that are raw up to the guest',
    [
      ['-blockdev', FILE],
      ['-blockdev', RAW_PART],
      ['-blockdev', '{"driver":"qcow2","node-name":"q","file":"f"}'],
    ],
    [],
  ],
  ['another option', [['-device', 'x,offset=512,file=/a']], []],
  ['nonsense', [['-blockdev', '{"driver":"raw","offset":512']], []],
];

describe('readInnerArguments', () => {
  for (const [title, args, expected] of ROWS) {
    it(`reads ${title}`, () => {
      expect(readInnerArguments(args.map(([previous, value]) => ({ previous, value })))).to.deep.equal(expected);
    });
  }
});
