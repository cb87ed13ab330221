import { expect } from 'chai';
import type { ImageType } from '../../../src/core/record.ts';
import { IntegrityError, TrustError } from '../../../src/errors.ts';
import {
  checkImportedCapacity,
  checkImportedHeader,
  checkImportedLength,
} from '../../../src/image-format/import-check.ts';
import { header, withBacking } from './image-bytes.ts';
import { qcow2Head } from './qcow2-image.ts';

const image = (type: ImageType = 'os') => ({ name: 'golden', type, sizeBytes: undefined });

function withText(bytes: Buffer, offset: number, text: string): Buffer {
  bytes.write(text, offset, 'latin1');
  return bytes;
}

const bootable = () => withText(Buffer.alloc(4096), 510, '\x55\xaa');
const disc = (magic = 'CD001') => withText(Buffer.alloc(65_536), 0x8001, magic);

/** A sparse extent of 1 GiB that describes itself. */
function vmdk(fields: readonly (readonly [number, string])[] = [], descriptor = 'parentCID=ffffffff\n'): Buffer {
  const capacity = [12, '0000200000000000'] as const;
  const place = [
    [28, '0100000000000000'],
    [36, '1400000000000000'],
  ] as const;
  return withText(header('KDMV', 65_536, [capacity, ...place, ...fields]), 512, `# Disk DescriptorFile\n${descriptor}`);
}

const vhd = (type: string, capacity = '0000000040000000') =>
  header('conectix', 512, [
    [48, capacity],
    [60, type],
  ]);

const ACCEPTED: readonly (readonly [string, Uint8Array, ImageType, string])[] = [
  ['a qcow2 image', qcow2Head(), 'os', 'qcow2'],
  ['a disk with a boot sector', bootable(), 'os', 'raw'],
  ['an ISO 9660 image', disc(), 'cdrom', 'raw'],
  ['a UDF image', disc('BEA01'), 'cdrom', 'raw'],
  ['any bytes as data', Buffer.from('<html>'), 'datablock', 'raw'],
  ['a sparse VMDK image', vmdk(), 'os', 'vmdk'],
  ['a dynamic VHD image', vhd('00000003'), 'datablock', 'vpc'],
];

const REFUSED: readonly (readonly [string, Uint8Array, ImageType, string])[] = [
  ['nothing', Buffer.alloc(0), 'datablock', 'is empty'],
  ['an overlay', qcow2Head(withBacking('/etc/shadow')), 'os', `names a backing file: '/etc/shadow'`],
  ['an encrypted image', qcow2Head({ encryption: 2 }), 'os', 'is encrypted (method luks)'],
  ['a page', Buffer.from('<html>'), 'os', 'holds no disk with a boot sector, but an HTML or XML document'],
  [
    'an archive',
    withText(Buffer.alloc(512), 257, 'ustar'),
    'os',
    'holds no disk with a boot sector, but a tar archive',
  ],
  ['a disc as a disk', disc(), 'os', 'is that of a disc: give it --type cdrom'],
  ['a disk as a disc', bootable(), 'cdrom', 'holds no disc (ISO 9660 or UDF), but a raw disk with a boot sector'],
  ['another format', header('', 512, [[64, '7f10dabe']]), 'os', 'is of the format vdi, which cannot be brought in'],
  [
    'a saved domain',
    Buffer.from('LibvirtQemudSave'),
    'datablock',
    'is of the format saved-domain, which cannot be brought in',
  ],
  [
    'a VMDK descriptor',
    Buffer.from('# Disk DescriptorFile\n'),
    'os',
    'is a VMDK image that keeps its data in other files',
  ],
  ['a VMDK image of ESX', Buffer.from('COWD'), 'os', 'is a VMDK image that keeps its data in other files'],
  ['half a VMDK header', Buffer.from('KDMV'), 'os', 'has a VMDK header that is cut off'],
  [
    'a VMDK image whose capacity its descriptor tells',
    vmdk([[12, '0000000000000000']]),
    'os',
    'has an absurd virtual size: 0 bytes',
  ],
  ['a far VMDK descriptor', vmdk([[28, '0001000000000000']]), 'os', 'has its VMDK descriptor in an unusual place'],
  [
    'a VMDK image that names its parent',
    vmdk([], 'parentCID=ffffffff\nPARENTFILENAMEHINT="/etc/shadow"\n'),
    'os',
    'is a VMDK image that stands on another image',
  ],
  [
    'a VMDK image with a parent',
    vmdk([], 'parentCID=12345678\n'),
    'os',
    'is a VMDK image that stands on another image',
  ],
  ['half a VHD header', Buffer.from('conectix'), 'os', 'has a VHD header that is cut off'],
  ['a differencing VHD image', vhd('00000004'), 'os', 'is a VHD image that stands on another image'],
  ['an unknown VHD image', vhd('00000009'), 'os', 'is of the unknown VHD type 9'],
  [
    'an absurd VHD image',
    vhd('00000003', 'ff00000000000000'),
    'os',
    'has an absurd virtual size: 18374686479671623680 bytes',
  ],
];

describe('the first bytes of an image that is brought in', () => {
  for (const [title, head, type, format] of ACCEPTED)
    it(`are those of ${title}`, () => {
      expect(checkImportedHeader(head, image(type))).to.equal(format);
    });

  for (const [title, head, type, hazard] of REFUSED)
    it(`must not be those of ${title}`, () => {
      expect(() => checkImportedHeader(head, image(type))).to.throw(TrustError, `image 'golden' ${hazard}`);
    });
});

describe('the length of an image that is brought in', () => {
  it('is a whole number of sectors where it is a disk', () => {
    checkImportedLength('raw', 1024n, image());
    checkImportedLength('raw', 1025n, image('datablock'));
    checkImportedLength('qcow2', 1025n, image());
    expect(() => checkImportedLength('raw', 1025n, image())).to.throw(IntegrityError, 'is cut off: 1025 bytes');
  });

  it('is not absurd', () => {
    checkImportedCapacity(1n << 40n, image());
    for (const bytes of [0n, 1n << 60n])
      expect(() => checkImportedCapacity(bytes, image())).to.throw(TrustError, `absurd virtual size: ${bytes} bytes`);
  });
});
