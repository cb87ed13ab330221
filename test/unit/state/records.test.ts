import { mkdir, readFile, readdir, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { encodeMetadataName } from '../../../src/core/identity.ts';
import { IMAGE_STATUSES } from '../../../src/core/lifecycle.ts';
import type { ImageRecord } from '../../../src/core/record.ts';
import { FailureError, IntegrityError } from '../../../src/errors.ts';
import { readRecords, removeRecord, writeRecord } from '../../../src/state/records.ts';
import { temporaryDir } from './support.ts';

const FULL: ImageRecord = {
  volumeName: 'x-uvt-plain-p__1',
  identity: { product: 'p', version: '1' },
  status: 'killed',
  reason: 'digest differs',
  provenance: {
    source: 'https://cloud-images.example/releases/',
    itemPath: 'server/p/1/disk1.img',
    sizeBytes: 2n ** 60n + 1n,
    digest: { algorithm: 'sha256', hex: 'ab'.repeat(32) },
    signer: 'D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81',
    broughtBy: 'poolkeeper 0.1.0',
  },
  tags: { release: 'noble', arch: 'amd64', label: '', ünïcode: '\u0000😀' },
  times: { createdAt: 1, statusSince: 2, lastNeededAt: 3 },
  pin: { reason: 'audit', since: 4, until: 5 },
  traits: { type: 'datablock', isPersistent: true, displayName: 'db of web1', snapshotOf: 'x' },
  retiredBy: '20241120T211254Z-3f9c',
};
const BARE: ImageRecord = {
  ...FULL,
  volumeName: 'adopted.qcow2',
  identity: { product: 'q', version: '2' },
  status: 'active',
  reason: undefined,
  provenance: {
    source: undefined,
    itemPath: undefined,
    sizeBytes: undefined,
    digest: undefined,
    signer: undefined,
    broughtBy: 'uvtool',
  },
};
const FILE = `${encodeMetadataName(FULL.identity)}.json`;

type Json = Record<string, unknown>;

describe('records', () => {
  const at = temporaryDir();

  async function overview(): Promise<object> {
    const { records, unreadable } = await readRecords(at());
    return { names: [...records.keys()], unreadable: unreadable.map(({ name, error }) => [name, error.name]) };
  }

  async function rewrite(change: (json: Json) => Json): Promise<void> {
    await writeRecord(at(), FULL);
    const json: Json = JSON.parse(await readFile(at(FILE), 'utf8'));
    await writeFile(at(FILE), JSON.stringify(change(json)));
  }

  it('are none where no directory is', async () => {
    expect(await readRecords(at('none'))).to.deep.equal({ records: new Map(), unreadable: [] });
  });

  it('come back exactly as they were written', async () => {
    await writeRecord(at(), FULL);
    await writeRecord(at(), BARE);
    expect(await readRecords(at())).to.deep.equal({
      records: new Map([
        [FULL.volumeName, FULL],
        [BARE.volumeName, BARE],
      ]),
      unreadable: [],
    });
  });

  it('come back with every status', async () => {
    for (const status of IMAGE_STATUSES) {
      await writeRecord(at(), { ...BARE, status });
      expect((await readRecords(at())).records.get(BARE.volumeName)?.status).to.equal(status);
    }
  });

  it('are closed to other users and versioned', async () => {
    await writeRecord(at(), FULL);
    expect((await stat(at(FILE))).mode & 0o777).to.equal(0o640);
    expect(JSON.parse(await readFile(at(FILE), 'utf8'))).to.include({ formatVersion: 1 });
  });

  it('are removed for good, and again without complaint', async () => {
    await writeRecord(at(), FULL);
    await writeRecord(at(), BARE);
    await removeRecord(at(), FULL.identity);
    await removeRecord(at(), FULL.identity);
    expect(await overview()).to.deep.equal({ names: [BARE.volumeName], unreadable: [] });
  });

  it('leave temporary files, sub-directories and other names alone', async () => {
    await mkdir(at('set-aside'));
    for (const name of ['.0b8ae5b0-6e0f-4d3a-9a71-b2a1c39f8f6d.tmp', 'notes.txt', '.hidden.json']) {
      await writeFile(at(name), '{');
    }
    expect(await overview()).to.deep.equal({ names: [], unreadable: [] });
    expect(await readdir(at())).to.have.length(4);
  });

  it('of a newer poolkeeper are refused with a clear message, and not called damaged', async () => {
    await rewrite((json) => ({ ...json, formatVersion: 2, status: 'frozen' }));
    const { records, unreadable } = await readRecords(at());
    expect(records.size).to.equal(0);
    expect(unreadable[0]?.error).to.be.instanceOf(FailureError);
    expect(unreadable[0]?.error).to.include({
      message: `record '${at(FILE)}' was written by a newer poolkeeper (format 2)`,
      hint: 'upgrade poolkeeper on this host',
    });
  });

  const provenance =
    (change: Json) =>
    (json: Json): Json => ({ ...json, provenance: { ...FULL.provenance, ...change } });
  const damages: readonly [what: string, change: (json: Json) => Json][] = [
    ['no version', (json) => ({ ...json, formatVersion: undefined })],
    ['a version that is no number', (json) => ({ ...json, formatVersion: '1' })],
    ['no volume name', (json) => ({ ...json, volumeName: undefined })],
    ['an unknown status', (json) => ({ ...json, status: 'frozen' })],
    ['a status by inheritance', (json) => ({ ...json, status: 'toString' })],
    ['a reason that is no text', (json) => ({ ...json, reason: 5 })],
    ['no provenance', (json) => ({ ...json, provenance: null })],
    ['tags with nested values', (json) => ({ ...json, tags: { a: {} } })],
    ['a list for tags', (json) => ({ ...json, tags: [] })],
    ['times before 1970', (json) => ({ ...json, times: { ...FULL.times, createdAt: -1 } })],
    ['times that are not exact', (json) => ({ ...json, times: { ...FULL.times, createdAt: 2 ** 53 } })],
    ['another identity', (json) => ({ ...json, identity: { product: 'q', version: '1' } })],
    ['an identity without name', (json) => ({ ...json, identity: { product: 'p q', version: '' } })],
    ['traits of an unknown type', (json) => ({ ...json, traits: { type: 'kernel', isPersistent: false } })],
    ['traits that leave open what is persistent', (json) => ({ ...json, traits: { type: 'os' } })],
    ['a size as number', provenance({ sizeBytes: 5, digest: undefined })],
    ['a negative size', provenance({ sizeBytes: '-5' })],
    ['a size in hexadecimal', provenance({ sizeBytes: '0x10' })],
    ['a digest of the wrong length', provenance({ sizeBytes: '5', digest: { algorithm: 'sha512', hex: 'ab' } })],
    ['an unknown digest', provenance({ sizeBytes: '5', digest: { algorithm: 'constructor', hex: 'ab' } })],
  ];
  for (const [what, change] of damages) {
    it(`with ${what} are named, and the others are read`, async () => {
      await rewrite(change);
      await writeRecord(at(), BARE);
      expect(await overview()).to.deep.equal({
        names: [BARE.volumeName],
        unreadable: [[FILE, IntegrityError.name]],
      });
    });
  }

  it('that were cut off, zeroed or planted as links are named', async () => {
    await writeRecord(at(), FULL);
    const bytes = await readFile(at(FILE));
    await writeFile(at('a.json'), bytes.subarray(0, 40));
    await writeFile(at('b.json'), Buffer.alloc(4096));
    await symlink('/etc/hostname', at('c.json'));
    await rename(at(FILE), at('d.json'));
    expect(await overview()).to.deep.equal({
      names: [],
      unreadable: ['a', 'b', 'c', 'd'].map((name) => [`${name}.json`, IntegrityError.name]),
    });
  });

  it('that claim one volume twice are not both believed', async () => {
    await writeRecord(at(), FULL);
    await writeRecord(at(), { ...BARE, volumeName: FULL.volumeName });
    const { records, unreadable } = await readRecords(at());
    expect([...records.values()]).to.deep.equal([FULL]);
    expect(unreadable.map(({ error }) => error.message)).to.deep.equal([
      `two records claim volume '${FULL.volumeName}'`,
    ]);
  });
});
