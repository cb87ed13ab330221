import { expect } from 'chai';
import { open, readFile, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { aftermathOf, openIntentsOf } from '../support/aftermath.ts';
import { createQcow2, qemuImg } from '../support/qemu.ts';
import { World } from '../support/world.ts';

const SERIAL = '20240821';
const MIB = 2 ** 20;

/** Offsets of QEMU's docs/interop/qcow2.txt. */
const AT = {
  version: 4,
  backingOffset: 8,
  clusterBits: 20,
  size: 24,
  encryption: 32,
  l1Entries: 36,
  l1Offset: 40,
  refcountTable: 48,
  refcountClusters: 56,
  snapshots: 60,
  snapshotsOffset: 64,
  incompatible: 72,
  refcountOrder: 96,
  compression: 104,
} as const;

type Make = (path: string) => Promise<unknown>;

const patched =
  (offset: number, value: bigint | number): Make =>
  async (path) => {
    await createQcow2(path, { sizeBytes: MIB });
    const bytes = Buffer.alloc(typeof value === 'bigint' ? 8 : 4);
    if (typeof value === 'bigint') bytes.writeBigUInt64BE(value);
    else bytes.writeUInt32BE(value);
    const file = await open(path, 'r+');
    await file.write(bytes, 0, bytes.length, offset);
    await file.close();
  };

const HAZARDS: readonly (readonly [string, RegExp, Make])[] = [
  [
    'a backing file',
    /names a backing file: '\/etc\/shadow'/,
    (path) => createQcow2(path, { sizeBytes: MIB, backing: '/etc/shadow', backingFormat: 'raw' }),
  ],
  [
    'a backing file in JSON',
    /names a backing file: 'json:/,
    (path) => createQcow2(path, { sizeBytes: MIB, backing: 'json:{"driver":"file","filename":"/etc/shadow"}' }),
  ],
  [
    'an external data file',
    /names an external data file/,
    (path) => createQcow2(path, { sizeBytes: MIB, options: `data_file=${path}.data,data_file_raw=on` }),
  ],
  ['an external data file without a name', /external data file/, patched(AT.incompatible, 4n)],
  // By hand: qemu-img measures the processor's speed for LUKS, and gives up on a busy machine.
  ['encryption by LUKS', /is encrypted \(method luks\)/, patched(AT.encryption, 2)],
  ['encryption by AES', /is encrypted/, patched(AT.encryption, 1)],
  [
    'unknown incompatible features',
    /needs unknown incompatible features: 0x100000/,
    patched(AT.incompatible, 1n << 20n),
  ],
  ['the dirty mark', /is marked dirty/, patched(AT.incompatible, 1n)],
  ['the corrupt mark', /is marked corrupt/, patched(AT.incompatible, 2n)],
  ['an unknown compression type', /unknown compression type/, patched(AT.compression, 0x07_00_00_00)],
  ['an absurd virtual size', /has an absurd virtual size/, patched(AT.size, 1n << 62n)],
  ['a virtual size of zero', /has a virtual size of zero/, patched(AT.size, 0n)],
  ['an absurd L1 table', /L1 table of \d+ entries/, patched(AT.l1Entries, 0x7f_ff_ff_ff)],
  ['an L1 table that ends too early', /its L1 table describes 0 bytes/, patched(AT.l1Entries, 0)],
  ['an L1 table outside', /has its L1 table at offset \d+, beyond/, patched(AT.l1Offset, 1n << 40n)],
  ['a refcount table outside', /has its refcount table at offset/, patched(AT.refcountTable, 1n << 40n)],
  ['a refcount table without end', /has a refcount table of/, patched(AT.refcountClusters, 0xff_ff_ff)],
  ['absurd refcounts', /has refcounts of 2\^/, patched(AT.refcountOrder, 20)],
  ['too many snapshots', /has \d+ snapshots/, patched(AT.snapshots, 1_000_000)],
  ['a snapshot table outside', /snapshot table/, patched(AT.snapshots, 3)],
  ['an absurd cluster size', /cannot be read/, patched(AT.clusterBits, 60)],
  ['an unknown version', /cannot be read/, patched(AT.version, 9)],
  ['raw content', /is not a qcow2 image but/, (path) => writeFile(path, Buffer.alloc(MIB, 7))],
  ['a VMDK', /is not a qcow2 image but/, (path) => qemuImg('create', '-q', '-f', 'vmdk', path, '1M')],
  ['HTML', /is not a qcow2 image but/, (path) => writeFile(path, '<!DOCTYPE html>'.repeat(200))],
  ['a compressed bomb', /is not a qcow2 image but/, (path) => writeFile(path, gzipSync(Buffer.alloc(64 * MIB)))],
  [
    'a header that is cut off',
    /is not a qcow2 image|cannot be read/,
    async (path) => {
      await createQcow2(path, { sizeBytes: MIB });
      await writeFile(path, (await readFile(path)).subarray(0, 40));
    },
  ],
];

describe('a signed image with a hazard', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());
  beforeEach(() => world.reset());

  for (const [hazard, says, make] of HAZARDS) {
    it(`is refused by name and leaves nothing in the pool: ${hazard}`, async () => {
      const image = join(world.root, 'hostile.img');
      await make(image);
      await world.publish([{ release: 'noble', versions: [{ serial: SERIAL, image }] }]);
      const { status, stderr } = await world.sync();
      expect(status, stderr).to.equal(12);
      const [line = ''] = stderr.split('\n');
      expect(line).to.match(/^poolkeeper: error: image 'com\.ubuntu\.cloud:server:24\.04:amd64 20240821' /);
      expect(line).to.match(says);
      const { volumes, metadata, records } = await aftermathOf(world);
      const states = Object.values(records).map((record) => record.status);
      expect({ volumes, metadata, states, intents: await openIntentsOf(world) }).to.deep.equal({
        volumes: {},
        metadata: {},
        states: ['killed'],
        intents: [],
      });
    });
  }
});
