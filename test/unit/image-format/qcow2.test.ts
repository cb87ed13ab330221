import { expect } from 'chai';
import * as fc from 'fast-check';
import { IntegrityError } from '../../../src/errors.ts';
import { parseQcow2Header, qcow2HeaderAreaBytes } from '../../../src/image-format/qcow2.ts';
import { qcow2Head, type Qcow2Parts } from './qcow2-image.ts';

const SOUND = {
  version: 3,
  clusterBits: 16,
  virtualSizeBytes: 1n << 30n,
  headerLength: 112,
  backingFile: undefined,
  backingFormat: undefined,
  dataFile: undefined,
  encryption: 'none',
  incompatibleFeatures: 0n,
  l1Entries: 2,
  l1Offset: 0x30000n,
  refcountTableOffset: 0x10000n,
  refcountTableClusters: 1,
  refcountOrder: 4,
  snapshotCount: 0,
  snapshotsOffset: 0n,
  compressionType: 0,
};

const MALFORMED: readonly (readonly [string, Qcow2Parts, string])[] = [
  ['version', { version: 4 }, 'version at offset 4 is 4, not 2 or 3'],
  ['cluster size below', { clusterBits: 8 }, 'cluster_bits at offset 20 is 8, not 9 to 21'],
  ['cluster size above', { clusterBits: 22 }, 'cluster_bits at offset 20 is 22, not 9 to 21'],
  ['header length', { headerLength: 96 }, 'header_length at offset 100 is 96, not a multiple of 8 from 104 to 65536'],
  [
    'odd header length',
    { headerLength: 107 },
    'header_length at offset 100 is 107, not a multiple of 8 from 104 to 65536',
  ],
  [
    'backing file beyond the first cluster',
    { backing: { offset: 65_537n, length: 4, name: '' } },
    'backing_file_offset at offset 8 is 65537, not at most 65536',
  ],
  [
    'backing file name over the end of the first cluster',
    { backing: { offset: 65_530n, length: 7, name: '' } },
    'backing_file_size at offset 16 is 7, not 1 to 6',
  ],
  [
    'backing file name too long',
    { backing: { offset: 512n, length: 1024, name: '' } },
    'backing_file_size at offset 16 is 1024, not 1 to 1023',
  ],
  [
    'backing file without a name',
    { backing: { offset: 512n, length: 0, name: '' } },
    'backing_file_size at offset 16 is 0, not 1 to 1023',
  ],
  [
    'backing file name that begins with NUL',
    { backing: { offset: 512n, length: 5, name: '\0base' } },
    'backing file name at offset 512 is empty, not a name',
  ],
  ['empty data file name', { extensions: [[0x44415441, '']] }, 'data file name at offset 120 is empty, not a name'],
  [
    'extension over the end',
    { extensions: [[1, 'x', 70_000]] },
    'length of header extension at offset 116 is 70000, not at most 65416',
  ],
  [
    'extension over the backing file name',
    { backing: { offset: 128n, length: 4, name: 'base' }, extensions: [[1, 'x', 16]] },
    'length of header extension at offset 116 is 16, not at most 8',
  ],
];

describe('parseQcow2Header', () => {
  it('reads the fields of a version 3 header', () => {
    expect(parseQcow2Header(qcow2Head())).to.deep.equal(SOUND);
  });

  it('reads a version 2 header, which has no features', () => {
    const expected = { ...SOUND, version: 2, headerLength: 72, incompatibleFeatures: 0n };
    expect(parseQcow2Header(qcow2Head({ version: 2, features: 4n }))).to.deep.equal(expected);
  });

  it('reads backing file, backing format and data file with their places', () => {
    const head = qcow2Head({
      backing: { offset: 512n, length: 8, name: '/p/b.img' },
      extensions: [
        [0x6803f857, 'x'.repeat(48)],
        [0xe2792aca, 'raw'],
        [0x44415441, '/p/d.raw'],
      ],
    });
    expect(parseQcow2Header(head)).to.deep.equal({
      ...SOUND,
      backingFile: { text: '/p/b.img', isExact: true, offset: 512 },
      backingFormat: 'raw',
      dataFile: { text: '/p/d.raw', isExact: true, offset: 192 },
    });
  });

  it('ends a name at the first NUL, as QEMU does', () => {
    const head = qcow2Head({ backing: { offset: 512n, length: 9, name: 'base\0more' } });
    expect(parseQcow2Header(head).backingFile).to.deep.equal({ text: 'base', isExact: true, offset: 512 });
  });

  it('marks a name that is not UTF-8', () => {
    const head = qcow2Head({ backing: { offset: 512n, length: 3, name: '' } });
    head.set([0x61, 0xff, 0x62], 512);
    expect(parseQcow2Header(head).backingFile).to.deep.equal({ text: 'a\ufffdb', isExact: false, offset: 512 });
  });

  it('names an encryption method, or gives its number', () => {
    const methods = [0, 1, 2, 9].map((encryption) => parseQcow2Header(qcow2Head({ encryption })).encryption);
    expect(methods).to.deep.equal(['none', 'aes', 'luks', 9]);
  });

  for (const [what, parts, message] of MALFORMED) {
    it(`refuses a bad ${what}`, () => {
      expect(() => parseQcow2Header(qcow2Head(parts))).to.throw(
        IntegrityError,
        `qcow2 header is malformed: ${message}`,
      );
    });
  }

  it('says how much of the image the header may take, and where it was cut off', () => {
    const head = qcow2Head({ clusterBits: 21, backing: { offset: 100_000n, length: 8, name: '' } });
    expect(qcow2HeaderAreaBytes(head)).to.equal(2_097_152);
    expect(() => parseQcow2Header(head)).to.throw(
      IntegrityError,
      'qcow2 header is malformed: backing file name at offset 100000 is cut off after 65536 bytes, not 8 bytes',
    );
  });

  it('throws nothing but IntegrityError, whatever follows the magic', () => {
    const junk = fc.uint8Array({ maxLength: 256 });
    fc.assert(
      fc.property(fc.constantFrom(2, 3), fc.constantFrom(9, 16, 21), junk, junk, (version, bits, middle, rest) => {
        const head = Buffer.concat([
          Buffer.from([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, version]),
          middle,
          Buffer.alloc(80),
          rest,
        ]);
        head.writeUInt32BE(bits, 20);
        try {
          const header = parseQcow2Header(head);
          if (head.readBigUInt64BE(8) !== 0n) expect(header.backingFile).not.to.equal(undefined);
        } catch (error) {
          expect(error).to.be.instanceOf(IntegrityError);
        }
      }),
    );
  });
});
