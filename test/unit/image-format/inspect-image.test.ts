import { expect } from 'chai';
import * as fc from 'fast-check';
import { FailureError } from '../../../src/errors.ts';
import type { ImageInspection, ImageReader } from '../../../src/image-format/image.ts';
import { inspectImage } from '../../../src/image-format/inspect-image.ts';
import { qcow2Head, type Qcow2Parts } from './qcow2-image.ts';

function readerOf(bytes: string | Uint8Array, path: string | undefined = '/pool/top.img'): ImageReader {
  const image = Buffer.from(bytes);
  return {
    path,
    read: async (offset, length) => {
      expect(length).to.be.within(0, 4 << 20);
      const start = Number(offset < image.length ? offset : BigInt(image.length));
      return image.subarray(start, start + length);
    },
  };
}

function inspectBytes(bytes: string | Uint8Array): Promise<ImageInspection> {
  return inspectImage(readerOf(bytes));
}

function found(format: string, parts: Partial<ImageInspection> = {}): unknown {
  return { format, references: [], undecided: undefined, remedy: undefined, savedDomainXml: undefined, ...parts };
}

const path = (value: string, evidence: string) => ({ kind: 'path', value, evidence }) as const;
const text = (value: string, evidence: string) => ({ kind: 'text', value, evidence }) as const;

function withBacking(name: string): Qcow2Parts {
  return { backing: { offset: 512n, length: Buffer.byteLength(name), name } };
}

/** A header of `length` bytes with numbers and texts at their offsets. */
function header(magic: string, length: number, fields: readonly (readonly [offset: number, hex: string])[]): Buffer {
  const bytes = Buffer.alloc(length);
  bytes.write(magic, 'latin1');
  for (const [offset, hex] of fields) bytes.write(hex, offset, 'hex');
  return bytes;
}

function qed(features: string, offset: string, length: string, tail = ''): Buffer {
  const fixed = header('QED\0', 64, [
    [16, features],
    [56, offset],
    [60, length],
  ]);
  return Buffer.concat([fixed, Buffer.from(tail)]);
}

function savedDomain(version: string, length: string, xml: string, magic = 'LibvirtQemudSave'): Buffer {
  const fixed = header(magic, 92, [
    [16, version],
    [20, length],
  ]);
  return Buffer.concat([fixed, Buffer.from(xml)]);
}

const DESCRIPTOR = '# Disk DescriptorFile\nversion=1\nCID=11111111\n';
const NO_PARENT = 'parentCID=ffffffff\n';

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

describe('inspectImage', () => {
  it('takes everything without a known magic as raw, which needs nothing', async () => {
    for (const bytes of ['', 'QFI', '#!/bin/sh\nversion=1x\n'.slice(0, 10), Buffer.alloc(1000)]) {
      expect(await inspectBytes(bytes)).to.deep.equal(found('raw'));
    }
  });

  it('finds the backing file and the data file of a qcow2 image', async () => {
    const head = qcow2Head({ ...withBacking('base.img'), features: 4n, extensions: [[0x44415441, 'data.raw']] });
    const references = [
      path('/pool/base.img', 'qcow2 backing file name at offset 512'),
      path('/pool/data.raw', 'qcow2 data file name at offset 120'),
      text('data.raw', 'qcow2 data file name at offset 120'),
    ];
    expect(await inspectBytes(head)).to.deep.equal(found('qcow2', { references }));
  });

  it('finds a backing file that is named beyond the first 64 KiB', async () => {
    const head = qcow2Head({ clusterBits: 21, backing: { offset: 100_000n, length: 5, name: '' } });
    const image = Buffer.concat([head, Buffer.alloc(34_464), Buffer.from('/base')]);
    const references = [path('/base', 'qcow2 backing file name at offset 100000')];
    expect(await inspectBytes(image)).to.deep.equal(found('qcow2', { references }));
  });

  it('keeps a name that is not UTF-8 as a reference, but does not trust it', async () => {
    const head = qcow2Head(withBacking('/b/x'));
    head[515] = 0xff;
    const references = [path('/b/\ufffd', 'qcow2 backing file name at offset 512')];
    const undecided = "the qcow2 backing file name '/b/\ufffd' is not UTF-8";
    expect(await inspectBytes(head)).to.deep.equal(found('qcow2', { references, undecided }));
  });

  it('leaves a relative name as text when the image has no path', async () => {
    const reader = { ...readerOf(qcow2Head(withBacking('base.img'))), path: undefined };
    const references = [text('base.img', 'qcow2 backing file name at offset 512')];
    expect(await inspectImage(reader)).to.deep.equal(found('qcow2', { references }));
  });

  it('finds the backing file of a qcow image', async () => {
    const image = header('QFI\xfb\0\0\0\x01', 64, [
      [8, '0000000000000030'],
      [16, '00000005'],
    ]);
    image.write('/base', 48);
    const references = [path('/base', 'qcow backing file name at offset 48')];
    expect(await inspectBytes(image)).to.deep.equal(found('qcow', { references }));
  });

  it('finds the parent and every extent of a VMDK descriptor', async () => {
    const lines = [
      'parentCID=12345678',
      'ParentFileNameHint="../base.vmdk"',
      'RW 4192256 SPARSE "top-s001.vmdk"',
      'RDONLY 100 FLAT "/lun/flat.vmdk" 0',
      'NOACCESS 63 ZERO',
    ];
    const references = [
      path('/pool/top-s001.vmdk', 'VMDK descriptor, extent in line 6'),
      path('/lun/flat.vmdk', 'VMDK descriptor, extent in line 7'),
      path('/pool/../base.vmdk', 'VMDK descriptor, parentFileNameHint'),
    ];
    expect(await inspectBytes(`${DESCRIPTOR}${lines.join('\r\n')}\r\n`)).to.deep.equal(found('vmdk', { references }));
  });

  it('reads a VMDK descriptor that begins with other comments', async () => {
    const references = [path('/pool/x', 'VMDK descriptor, extent in line 4')];
    const descriptor = `# made by hand\n\nversion=1\nRW 1 FLAT "x"\n${NO_PARENT}`;
    expect(await inspectBytes(descriptor)).to.deep.equal(found('vmdk', { references }));
  });

  it('does not trust a VMDK descriptor that is not UTF-8', async () => {
    const bytes = Buffer.from(`${DESCRIPTOR}RW 1 FLAT "\xe9"\n${NO_PARENT}`, 'latin1');
    const references = [path('/pool/\ufffd', 'VMDK descriptor, extent in line 4')];
    const undecided = 'the VMDK descriptor is not UTF-8';
    expect(await inspectBytes(bytes)).to.deep.equal(found('vmdk', { references, undecided }));
  });

  it('finds nothing in a VMDK extent that has no descriptor of its own', async () => {
    expect(await inspectBytes(header('KDMV', 512, []))).to.deep.equal(found('vmdk'));
  });

  it('names the parent of a differencing VPC image, but does not trust the name', async () => {
    const image = header('conectix', 2048, [
      [16, '0000000000000200'],
      [60, '00000004'],
    ]);
    Buffer.from('base.vhd', 'utf16le')
      .swap16()
      .copy(image, 512 + 64);
    const references = [text('base.vhd', 'VPC header: parent unicode name')];
    const undecided = 'a differencing VPC image names its parent in a way that cannot be followed';
    expect(await inspectBytes(image)).to.deep.equal(found('vpc', { references, undecided }));
  });

  it('takes the domain XML out of a save image of either byte order, finished or not', async () => {
    const savedDomainXml = '<domain/>';
    const expected = found('saved-domain', { savedDomainXml });
    expect(await inspectBytes(savedDomain('02000000', '0e000000', '<domain/>\0rest'))).to.deep.equal(expected);
    expect(await inspectBytes(savedDomain('00000002', '00000009', '<domain/>', 'LibvirtQemudPart'))).to.deep.equal(
      expected,
    );
  });

  it('asks qemu-img about the formats that it has no reader for', async () => {
    const asked: unknown[] = [];
    const answer = async (...question: unknown[]) => {
      asked.push(question);
      return 'base.vhdx';
    };
    const references = [path('/pool/base.vhdx', 'qemu-img info: backing-filename')];
    const inspected = await inspectImage(readerOf('vhdxfile'), { runQemuImg: answer });
    expect(inspected).to.deep.equal(found('vhdx', { references }));
    expect(asked).to.deep.equal([['/pool/top.img', 'vhdx']]);
  });

  it('passes on why qemu-img did not answer, and what to do', async () => {
    const runQemuImg = () => Promise.reject(new FailureError('qemu-img is missing', { hint: 'install it' }));
    const inspected = await inspectImage(readerOf('vhdxfile'), { runQemuImg });
    expect(inspected).to.deep.equal(found('vhdx', { undecided: 'qemu-img is missing', remedy: 'install it' }));
  });

  it('is undecided about an image that cannot be read', async () => {
    const reader = {
      path: '/x',
      read: () => Promise.reject(new FailureError("cannot read '/x'", { hint: 'be root' })),
    };
    const expected = found('unknown', { undecided: "cannot read '/x'", remedy: 'be root' });
    expect(await inspectImage(reader)).to.deep.equal(expected);
  });

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
});

function hasBackingOffset(image: Buffer): boolean {
  const magic = image.toString('latin1', 0, 4);
  if (magic === 'QFI\xfb') return image.length >= 16 && image.readBigUInt64BE(8) !== 0n;
  return magic === 'QED\0' && image.length >= 60 && image.readUInt32LE(56) !== 0;
}
