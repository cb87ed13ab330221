import { expect } from 'chai';
import * as fc from 'fast-check';
import { DESCRIPTOR, found, header, inspectBytes, qed, savedDomain } from './image-bytes.ts';
import { qcow2Head } from './qcow2-image.ts';

/** Images that must be kept out of any decision, with the reason that is given. */
const UNDECIDED: readonly (readonly [string, Uint8Array | string, string])[] = [
  [
    'qcow2',
    'QFI\xfb\0\0\0\x03',
    'qcow2 header is malformed: header at offset 0 is cut off after 8 bytes, not 72 bytes',
  ],
  ['qcow2', qcow2Head({ features: 0x100n }), 'the qcow2 header has unknown incompatible features 0x100'],
  ['qcow2', qcow2Head({ features: 4n }), 'the qcow2 header does not name its external data file'],
  ['qcow', 'QFI\xfb\0\0\0\x01', 'the qcow header is cut off'],
  [
    'qcow',
    header('QFI\xfb\0\0\0\x01', 48, [
      [8, '0000000000000030'],
      [16, '00000004'],
    ]),
    'the qcow header names a backing file of 4 bytes at offset 48, which cannot be read',
  ],
  [
    'qcow',
    header('QFI\xfb\0\0\0\x01', 4096, [
      [8, 'ffffffffffffffff'],
      [16, '00000400'],
    ]),
    'the qcow header names a backing file of 1024 bytes at offset 18446744073709551615, which cannot be read',
  ],
  ['qed', 'QED\0', 'the QED header is cut off'],
  ['qed', qed('08', '40000000', '04000000', 'base'), 'the QED header has unknown features 0x8'],
  [
    'qed',
    qed('01', '40000000', '05000000', 'base'),
    'the QED header names a backing file of 5 bytes at offset 64, which cannot be read',
  ],
  [
    'qed',
    qed('01', '00000000', '00000000'),
    'the QED header names a backing file of 0 bytes at offset 0, which cannot be read',
  ],
  ['qed', qed('01', '40000000', '04000000', '\0\0\0\0'), 'the QED backing file name is empty'],
  ['vmdk', 'COWD', 'a VMDK image of the COWD kind may have a parent that it does not name'],
  ['vmdk', 'KDMV', 'the VMDK header is cut off'],
  [
    'vmdk',
    header('KDMV', 1024, [
      [28, '0100000000000000'],
      [36, 'ffffffffffffffff'],
    ]),
    'the VMDK header has a descriptor of 9444732965739290426880 bytes at sector 1',
  ],
  [
    'vmdk',
    header('KDMV', 1024, [
      [28, '0100000000000000'],
      [36, '0100000000000000'],
      [512, '414243'],
    ]),
    'there is no VMDK descriptor at offset 512',
  ],
  ['vmdk', `${DESCRIPTOR}parentCID=12345678\n`, 'the VMDK descriptor has a parent that it does not name'],
  ['vmdk', `${DESCRIPTOR}parentFileNameHint=""\n`, 'the VMDK descriptor has a parent that it does not name'],
  ['vmdk', `${DESCRIPTOR}RW 5 FLAT broken\n`, 'a VMDK extent has no readable name'],
  ['vmdk', `${DESCRIPTOR}${'RW 5 FLAT "x"\n'.repeat(4097)}`, 'the VMDK descriptor has 4097 extents'],
  ['vmdk', DESCRIPTOR + '#'.repeat(1 << 20), 'the VMDK descriptor does not end'],
  ['vpc', 'conectix', 'the VPC header is cut off'],
  ['vpc', header('conectix', 512, [[60, '00000009']]), 'the VPC header has the unknown disk type 9'],
  ['vdi', header('', 100, [[64, '7f10dabe']]), 'the VDI header is cut off'],
  [
    'vdi',
    header('', 512, [
      [64, '7f10dabe'],
      [76, '04000000'],
    ]),
    'a VDI image of this type names its parent only by UUID',
  ],
  [
    'vdi',
    header('', 512, [
      [64, '7f10dabe'],
      [76, '01000000'],
      [440, 'aa'],
    ]),
    'a VDI image of this type names its parent only by UUID',
  ],
  ['vhdx', 'vhdxfile', 'the parent of a vhdx image can only be read by qemu-img on its own host'],
  ['parallels', 'WithoutFreeSpace', 'the parent of a parallels image can only be read by qemu-img on its own host'],
  ['saved-domain', 'LibvirtQemudSave', 'the header of the save image is cut off'],
  [
    'saved-domain',
    savedDomain('02000000', 'ffffffff', '<domain/>'),
    'the save image holds 4294967295 bytes of domain XML',
  ],
  ['saved-domain', savedDomain('02000000', '0a000000', '<domain/>'), 'the save image holds no domain XML'],
  ['saved-domain', savedDomain('02000000', '04000000', 'junk'), 'the save image holds no domain XML'],
];

describe('inspectImage of a hostile image', () => {
  for (const [format, bytes, undecided] of UNDECIDED) {
    it(`is undecided about a ${format} image: ${undecided}`, async () => {
      const image = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
      expect(await inspectBytes(image)).to.deep.equal(found(format, { undecided }));
    });
  }

  it('never fails, and never takes junk after a magic with a backing file for an image that needs nothing', async () => {
    const magics = [
      'QFI\xfb\0\0\0\x01',
      'QFI\xfb\0\0\0\x02',
      'QFI\xfb\0\0\0\x03',
      'QED\0',
      'KDMV',
      DESCRIPTOR,
      'conectix',
    ];
    const junk = fc.uint8Array({ minLength: 0, maxLength: 700 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...magics), junk, async (magic, bytes) => {
        const image = Buffer.concat([Buffer.from(magic, 'latin1'), bytes]);
        const { references, undecided } = await inspectBytes(image);
        if (hasBackingOffset(image)) expect(references.length > 0 || undecided !== undefined).to.equal(true);
      }),
      { numRuns: 500 },
    );
  });

  it('reads a hostile VMDK descriptor of 1 MiB in no time', async () => {
    for (const filler of ['\n', ' ', 'RW ', 'RW 1 A "', 'parentFileNameHint="', 'parentFileNameHint =', '\nRW\n']) {
      const { format } = await inspectBytes(DESCRIPTOR + filler.repeat(1_000_000 / filler.length));
      expect(format).to.equal('vmdk');
    }
  }).timeout(10_000);
});

function hasBackingOffset(image: Buffer): boolean {
  const magic = image.toString('latin1', 0, 4);
  if (magic === 'QFI\xfb') return image.length >= 16 && image.readBigUInt64BE(8) !== 0n;
  return magic === 'QED\0' && image.length >= 60 && image.readUInt32LE(56) !== 0;
}
