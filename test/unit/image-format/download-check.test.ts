import { expect } from 'chai';
import { EXIT, TrustError } from '../../../src/errors.ts';
import { checkDownloadedHeader } from '../../../src/image-format/download-check.ts';
import { qcow2Head, type Qcow2Parts } from './qcow2-image.ts';

const image = { name: 'jammy 20261101', sizeBytes: 0x40000n };

const HOSTILE: readonly (readonly [string, Qcow2Parts])[] = [
  ['cannot be read: qcow2 header is malformed: version at offset 4 is 4, not 2 or 3', { version: 4 }],
  ['cannot be read: qcow2 header is malformed: cluster_bits at offset 20 is 8, not 9 to 21', { clusterBits: 8 }],
  ["names a backing file: '/etc/shadow'", { backing: { offset: 512n, length: 11, name: '/etc/shadow' } }],
  ["names an external data file: '/dev/sda'", { extensions: [[0x44415441, '/dev/sda']] }],
  ["names an external data file: '/dev/sda'", { features: 4n, extensions: [[0x44415441, '/dev/sda']] }],
  ['keeps its data in an external data file', { features: 4n }],
  ['is encrypted (method aes)', { encryption: 1 }],
  ['is encrypted (method luks)', { encryption: 2 }],
  ['is encrypted (method 7)', { encryption: 7 }],
  ['needs unknown incompatible features: 0x20', { features: 0x2an }],
  ['is marked dirty: it was not closed properly', { features: 1n }],
  ['is marked corrupt', { features: 2n }],
  ['has an unknown compression type: 2', { features: 8n, compressionType: 2 }],
  ['has an unknown compression type: 1', { compressionType: 1 }],
  ['has an unknown compression type: 0', { features: 8n }],
  ['has extended L2 entries in clusters below 16 KiB', { features: 16n, clusterBits: 12 }],
  ['has a virtual size of zero', { virtualSizeBytes: 0n }],
  [
    'has an absurd virtual size: 70368744177665 bytes, more than 70368744177664',
    { virtualSizeBytes: (1n << 46n) + 1n, l1: { entries: 200_000, offset: 0x30000n } },
  ],
  [
    'has an absurd virtual size: its L1 table describes 1073741824 bytes, not 1073741825',
    { virtualSizeBytes: (1n << 30n) + 1n },
  ],
  ['has an absurd virtual size: its L1 table describes 536870912 bytes, not 1073741824', { features: 16n }],
  [
    'has an L1 table of 4194305 entries, more than any image may have',
    { l1: { entries: 4_194_305, offset: 0x30000n } },
  ],
  ["has its L1 table at offset 196616, no cluster's start", { l1: { entries: 2, offset: 196_616n } }],
  ["has its L1 table at offset 0, no cluster's start", { l1: { entries: 2, offset: 0n } }],
  ['has its L1 table at offset 262144, beyond its size of 262144 bytes', { l1: { entries: 2, offset: 0x40000n } }],
  [
    'has its L1 table at offset 18446744073709486080, beyond its size of 262144 bytes',
    { l1: { entries: 2, offset: 0xffffffffffff0000n } },
  ],
  ['has a refcount table of 0 bytes', { refcountTable: { offset: 0x10000n, clusters: 0 } }],
  ['has a refcount table of 8454144 bytes', { refcountTable: { offset: 0x10000n, clusters: 129 } }],
  ["has its refcount table at offset 1, no cluster's start", { refcountTable: { offset: 1n, clusters: 1 } }],
  [
    'has its refcount table at offset 196608, beyond its size of 262144 bytes',
    { refcountTable: { offset: 0x30000n, clusters: 2 } },
  ],
  ['has refcounts of 2^7 bits', { refcountOrder: 7 }],
  ['has 65537 snapshots, more than 65536', { snapshots: { count: 65_537, offset: 0x10000n } }],
  ["has its snapshot table at offset 5, no cluster's start", { snapshots: { count: 1, offset: 5n } }],
  [
    'has its snapshot table at offset 196608, beyond its size of 262144 bytes',
    { snapshots: { count: 2000, offset: 0x30000n } },
  ],
];

const OTHER_CONTENT: readonly (readonly [string, string | Uint8Array])[] = [
  ['empty', ''],
  ['an HTML or XML document', '<!DOCTYPE html><html>'],
  ['an HTML or XML document', '\n  <?xml version="1.0"?>'],
  ['gzip', Buffer.from('1f8b0800', 'hex')],
  ['xz', Buffer.from('fd377a585a00', 'hex')],
  ['zstd', Buffer.from('28b52ffd', 'hex')],
  ['bzip2', 'BZh9'],
  ['zip', 'PK\x03\x04'],
  ['a tar archive', 'a'.repeat(257) + 'ustar'],
  ['a raw disk with a boot sector', Buffer.concat([Buffer.alloc(510), Buffer.from('55aa', 'hex')])],
  ['raw or unknown data', Buffer.alloc(512)],
  ['raw or unknown data', 'QFI'],
  ['qcow', Buffer.from('514649fb00000001', 'hex')],
  ['qed', 'QED\0'],
  ['vmdk', 'KDMV'],
  ['vmdk', '# Disk DescriptorFile\nversion=1\n'],
  ['vhdx', 'vhdxfile'],
  ['vpc', 'conectix'],
  ['saved-domain', 'LibvirtQemudSave'],
];

function refusal(head: Uint8Array): { message: string; exitStatus: number } {
  try {
    checkDownloadedHeader(head, image);
  } catch (error) {
    expect(error).to.be.instanceOf(TrustError);
    if (error instanceof TrustError) return { message: error.message, exitStatus: error.exitStatus };
  }
  throw new Error('the image was accepted');
}

describe('checkDownloadedHeader', () => {
  it('accepts clean images of both versions, and says how large the disk is', () => {
    const expected = { format: 'qcow2', virtualSizeBytes: 1n << 30n };
    const clean: Qcow2Parts[] = [
      {},
      { version: 2 },
      { features: 8n, compressionType: 1 },
      { features: 16n, l1: { entries: 4, offset: 0x30000n } },
      {
        extensions: [
          [0x6803f857, 'feature names'],
          [0xe2792aca, 'raw'],
        ],
      },
      { snapshots: { count: 3, offset: 0x20000n } },
    ];
    for (const parts of clean) expect(checkDownloadedHeader(qcow2Head(parts), image)).to.deep.equal(expected);
  });

  it('accepts a disk of exactly 64 TiB', () => {
    const head = qcow2Head({ virtualSizeBytes: 1n << 46n, l1: { entries: 131_072, offset: 0x30000n } });
    const expected = { format: 'qcow2', virtualSizeBytes: 1n << 46n };
    expect(checkDownloadedHeader(head, { ...image, sizeBytes: 1n << 21n })).to.deep.equal(expected);
  });

  for (const [hazard, parts] of HOSTILE) {
    it(`refuses with exit status 12 an image that ${hazard}`, () => {
      expect(refusal(qcow2Head(parts))).to.deep.equal({
        message: `image 'jammy 20261101' ${hazard}`,
        exitStatus: EXIT.trust,
      });
    });
  }

  for (const [what, bytes] of OTHER_CONTENT) {
    it(`refuses what is ${what} (${Buffer.from(bytes).toString('hex', 0, 8)})`, () => {
      const message = `image 'jammy 20261101' is not a qcow2 image but ${what}`;
      expect(refusal(Buffer.from(bytes))).to.deep.equal({ message, exitStatus: EXIT.trust });
    });
  }

  it('refuses a head that was cut off', () => {
    expect(refusal(qcow2Head().subarray(0, 60))).to.deep.equal({
      message:
        "image 'jammy 20261101' cannot be read: qcow2 header is malformed: header at offset 0 is cut off after 60 bytes, not 72 bytes",
      exitStatus: EXIT.trust,
    });
  });
});
