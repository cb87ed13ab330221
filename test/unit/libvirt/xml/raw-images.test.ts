import { expect } from 'chai';
import { readDocument } from '../../../../src/libvirt/xml/references.ts';

const DOCUMENTS: readonly (readonly [title: string, devices: string, raw: readonly string[]])[] = [
  ['a raw disk', disk("<driver type='raw'/><source file='/a'/>"), ['/a']],
  ['a disk of another format', disk("<driver type='qcow2'/><source file='/a'/>"), []],
  ['a disk of no format', disk("<source file='/a'/>"), []],
  ['a CD-ROM of no format', "<disk device='cdrom'><source file='/a'/></disk>", ['/a']],
  ['a CD-ROM that is an overlay', "<disk device='cdrom'><driver type='qcow2'/><source file='/a'/></disk>", []],
  ['a raw volume', disk("<driver type='raw'/><source pool='p' volume='a'/>"), ['a']],
  ['a raw block device', disk("<source dev='/dev/a'/><driver name='qemu' type='raw'/>"), ['/dev/a']],
  [
    'a raw base of an overlay',
    disk(
      "<driver type='qcow2'/><source file='/a'/><backingStore><format type='raw'/><source file='/b'/></backingStore>",
    ),
    ['/b'],
  ],
  [
    'an image that is raw for one disk and an overlay for another',
    disk("<driver type='raw'/><source file='/a'/>") + disk("<driver type='qcow2'/><source file='/a'/>"),
    [],
  ],
];

describe('readDocument', () => {
  for (const [title, devices, raw] of DOCUMENTS) {
    it(`says whether nothing can stand behind ${title}`, () => {
      const { rawImages } = readDocument(`<domain><devices>${devices}</devices></domain>`);
      expect([...rawImages]).to.deep.equal(raw);
    });
  }

  it('says so of the scratch file of a backup', () => {
    const xml = "<domainbackup><disks><disk><driver type='raw'/><scratch file='/a'/></disk></disks></domainbackup>";
    expect([...readDocument(xml).rawImages]).to.deep.equal(['/a']);
  });
});

function disk(inner: string): string {
  return `<disk type='file' device='disk'>${inner}</disk>`;
}
