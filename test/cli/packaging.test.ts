import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ImageRecord } from '../../src/core/record.ts';
import { writeRecord } from '../../src/state/records.ts';

const DEBIAN = new URL('../../../packaging/debian/', import.meta.url);
const execute = promisify(execFile);

const FETCHED: ImageRecord = {
  volumeName: 'x-uvt-plain-p__1',
  identity: { product: 'com.ubuntu.cloud:server:24.04:amd64', version: '20240821' },
  status: 'active',
  reason: undefined,
  provenance: {
    source: 'https://cloud-images.example/releases/',
    itemPath: 'server/noble/disk1.img',
    sizeBytes: 4096n,
    digest: { algorithm: 'sha256', hex: 'ab'.repeat(32) },
    signer: undefined,
    broughtBy: 'poolkeeper 0.1.0',
  },
  tags: { release: 'noble', arch: 'amd64', label: 'local:no\n"pin": ' },
  times: { createdAt: 1, statusSince: 2, lastNeededAt: 3 },
};
const UNKNOWN = { ...FETCHED.provenance, source: undefined, itemPath: undefined, signer: undefined };
const OWN = {
  ...FETCHED,
  identity: { product: 'local:db', version: '1' },
  provenance: { ...UNKNOWN, broughtBy: 'import' },
};

describe('the purge of the Debian package', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'pk-purge-'));
    await mkdir(join(root, 'bin'));
    // What would look at, or change, the host on which the tests run.
    for (const program of ['deb-systemd-helper', 'dpkg-query', 'systemctl']) {
      const status = program === 'dpkg-query' ? 1 : 0;
      await writeFile(join(root, 'bin', program), `#!/bin/sh\nexit ${status}\n`, { mode: 0o755 });
    }
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  /** A pool's state with this in it. */
  async function pool(name: string, records: readonly ImageRecord[], others: readonly string[] = []): Promise<string> {
    const dir = join(root, 'var/lib/poolkeeper/pools', name);
    for (const folder of ['records', 'leases', 'sources']) await mkdir(join(dir, folder), { recursive: true });
    await writeFile(join(dir, 'journal'), '');
    for (const record of records) await writeRecord(join(dir, 'records'), record);
    for (const other of others) {
      await mkdir(join(dir, other, '..'), { recursive: true });
      await writeFile(join(dir, other), '{');
    }
    return dir;
  }

  async function purge(): Promise<string> {
    const script = join(root, 'postrm');
    const text = await readFile(new URL('postrm', DEBIAN), 'utf8');
    await writeFile(script, text.replaceAll(/(?<=[\s"=])\/var\//g, `${root}/var/`));
    const env = { PATH: `${root}/bin:/usr/bin:/bin`, LC_ALL: 'C' };
    return (await execute('sh', [script, 'purge'], { env })).stderr;
  }

  const kept = (): Promise<string[]> => readdir(join(root, 'var/lib/poolkeeper/pools')).catch(() => []);

  it('takes what a sync makes anew, and all that poolkeeper wrote', async () => {
    const uvtool = { ...FETCHED, provenance: { ...UNKNOWN, broughtBy: 'uvtool' } };
    await pool('fetched', [FETCHED, { ...OWN, status: 'deleted' }]);
    await pool('uvtool', [uvtool]);
    await pool('empty', []);
    for (const dir of ['cache/poolkeeper', 'lib/poolkeeper/runs', 'lib/uvtool/libvirt/metadata'])
      await mkdir(join(root, 'var', dir), { recursive: true });
    for (const name of ['keyring.asc', 'lived.json', 'forgotten'])
      await writeFile(join(root, 'var/lib/poolkeeper', name), '');
    expect(await purge()).to.equal('');
    expect(await readdir(join(root, 'var/lib'))).to.deep.equal([]);
    expect(await readdir(join(root, 'var/cache'))).to.deep.equal([]);
  });

  for (const [what, records, others] of [
    ["an image of somebody's own", [FETCHED, OWN], []],
    ['a locked image', [{ ...FETCHED, pin: { reason: undefined, since: 4, until: undefined } }], []],
    ['a persistent image', [{ ...FETCHED, traits: { type: 'os', isPersistent: true } }], []],
    ['an image of unknown origin', [{ ...FETCHED, provenance: { ...UNKNOWN, broughtBy: 'unknown' } }], []],
    ['a damaged record', [FETCHED], ['records/damaged.json']],
    ['a record that was set aside', [FETCHED], ['records/set-aside/2026/damaged.json']],
    ['a lease', [FETCHED], ['leases/1.json']],
    ['something in the trash', [FETCHED], ['trash/1.json']],
  ] as const satisfies readonly (readonly [string, readonly ImageRecord[], readonly string[]])[]) {
    it(`keeps all about a pool with ${what}, and says so`, async () => {
      const dir = await pool('kept', records, others);
      await pool('fetched', [FETCHED]);
      const before = await readdir(dir, { recursive: true });
      const said = await purge();
      expect(await kept()).to.deep.equal(['kept']);
      expect(await readdir(dir, { recursive: true })).to.deep.equal(before);
      const [, hint = ''] = /remove it: (rm -r .*)$/m.exec(said) ?? [];
      await execute('sh', ['-c', hint]);
      expect(await kept()).to.deep.equal([]);
    });
  }

  it('leaves what an administrator put there, and what a link leads to', async () => {
    await pool('fetched', [FETCHED]);
    await mkdir(join(root, 'elsewhere/records'), { recursive: true });
    await writeFile(join(root, 'var/lib/poolkeeper/mine.qcow2'), '');
    await execute('ln', ['-s', join(root, 'elsewhere'), join(root, 'var/lib/poolkeeper/pools/linked')]);
    expect(await purge()).to.equal('');
    expect(await readdir(join(root, 'var/lib/poolkeeper'))).to.include('mine.qcow2');
    expect(await readdir(join(root, 'elsewhere'))).to.deep.equal(['records']);
  });
});
