import { expect } from 'chai';
import { join } from 'node:path';
import { readRecords } from '../../src/state/records.ts';
import { aftermathOf, stateOf } from '../support/aftermath.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { World } from '../support/world.ts';

const OLD = '20240821';
const NEW = '20240901';
const NEWEST = '20240911';
const POINTS_KIB = [0, 4, 8, 16, 24, 32, 48, 64];

describe('a full disk', () => {
  let world: World;
  let disk: SmallDisk | undefined;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());
  beforeEach(async () => {
    await world.reset();
    await world.publish([await world.release('noble', OLD), await world.release('jammy', OLD)]);
  });
  afterEach(async () => {
    await disk?.unmount();
    disk = undefined;
  });

  const mount = async (name: string, sizeKib = 1024): Promise<SmallDisk> =>
    (disk = await SmallDisk.mount(join(world.root, name), { sizeKib }));

  it('of the state lets no half image in and nothing out, however much is free, and heals when it is cleared', async () => {
    const state = await mount('state');
    const statuses: number[] = [];
    for (const freeKib of POINTS_KIB) {
      await state.fill(freeKib);
      const { status, stderr } = await world.sync();
      statuses.push(status);
      expect(stderr, `${freeKib} KiB`).not.to.match(/^ {4}at /m);
      expect(status === 0 || /no space left/.test(stderr), stderr).to.equal(true);
      expect(await offersThatAreBroken()).to.deep.equal([]);
      await state.empty();
      expect(await world.sync(), `${freeKib} KiB`).to.include({ status: 0 });
      expect(await world.volumes()).to.deep.equal(volumes(OLD, 'jammy', 'noble'));
      await world.poolkeeper('purge', '--yes');
    }
    console.log(`      free KiB: status ${POINTS_KIB.map((kib, index) => `${kib}: ${statuses[index]}`).join(', ')}`);
    expect(new Set(statuses)).to.deep.equal(new Set([17, 0]));
  });

  it('of the state does not keep anybody from making room', async () => {
    const state = await mount('state');
    await world.sync();
    await world.publish([await world.release('noble', NEW), await world.release('jammy', NEW)]);
    await world.sync('--grace', '1h');
    expect(await world.volumes()).to.have.lengthOf(4);
    for (const freeKib of [0, 4]) {
      await state.fill(freeKib);
      const { status, stdout, stderr } = await world.sync();
      expect(
        stdout.split('\n').filter((line) => line.startsWith('deleted ')),
        stderr,
      ).to.have.lengthOf(freeKib === 0 ? 2 : 0);
      expect([0, 17], stderr).to.include(status);
      expect(await world.volumes()).to.deep.equal(volumes(NEW, 'jammy', 'noble'));
    }
    await state.empty();
    expect(await world.sync()).to.include({ status: 0, stderr: '' });
    const { records } = await readRecords(join(await stateOf(world), 'records'));
    expect(new Map([...records].map(([name, { status }]) => [name, status]))).to.deep.equal(
      new Map([
        ...volumes(NEW, 'jammy', 'noble').map((name) => [name, 'active'] as const),
        ...volumes(OLD, 'jammy', 'noble').map((name) => [name, 'deleted'] as const),
      ]),
    );
  });

  it('of the state lets gc delete what waits, though it can retire nothing', async () => {
    const state = await mount('state');
    await world.sync();
    for (const serial of [NEW, NEWEST]) {
      await world.publish([await world.release('noble', serial), await world.release('jammy', serial)]);
      await world.sync('--grace', '1h', '--keep-versions', serial === NEW ? '1' : '2');
    }
    expect(await world.volumes()).to.have.lengthOf(6);
    const gc = () =>
      world.poolkeeper('gc', '--yes', '--allow-mass-removal', '--keep-versions', '1', '--grace', '0', '--min-age', '0');
    await state.fill(0);
    const full = await gc();
    expect(full.status, full.stderr).to.equal(17);
    expect(await world.volumes()).to.deep.equal(
      [...volumes(NEW, 'jammy', 'noble'), ...volumes(NEWEST, 'jammy', 'noble')].sort(),
    );
    await state.empty();
    expect(await gc()).to.include({ status: 0, stderr: '' });
    expect(await world.volumes()).to.deep.equal(volumes(NEWEST, 'jammy', 'noble'));
  });

  it('of the state that turns read-only stops a sync before it touches anything', async () => {
    const state = await mount('state');
    await world.sync();
    await world.publish([await world.release('noble', NEW), await world.release('jammy', NEW)]);
    const before = await world.tree();
    await state.makeReadOnly(true);
    const { status, stderr } = await world.sync();
    expect({ status, stderr }).to.deep.equal({
      status: 1,
      stderr:
        `poolkeeper: error: cannot open lock file '${await stateOf(world)}/lock': read-only file system\n` +
        'poolkeeper: hint: mount it writable or move the directory\n',
    });
    expect(await world.tree()).to.deep.equal(before);
    expect((await world.poolkeeper('query')).status).to.equal(0);
    await state.makeReadOnly(false);
    expect(await world.sync()).to.include({ status: 0 });
  });

  it('of the cache is told of once and keeps nothing from being done', async () => {
    const cache = await mount('cache', 1024);
    for (const freeKib of [0, 4, 64]) {
      await cache.fill(freeKib);
      const { status, stderr } = await world.sync();
      const warnings = stderr.match(/^poolkeeper: warning: .*/gm) ?? [];
      expect({ status, warnings: warnings.length }, stderr).to.deep.equal({
        status: 0,
        warnings: freeKib < 16 ? 1 : 0,
      });
      expect(await world.volumes()).to.deep.equal(volumes(OLD, 'jammy', 'noble'));
      await world.poolkeeper('purge', '--yes');
    }
  });

  function volumes(serial: string, ...releases: readonly string[]): readonly string[] {
    return releases.map((release) => world.volumeName(release, serial)).sort();
  }

  async function offersThatAreBroken(): Promise<readonly string[]> {
    const { volumes: digests, metadata } = await aftermathOf(world);
    return Object.entries(metadata).flatMap(([name, text]) =>
      text.includes(`"sha256": "${digests[name] ?? 'no volume'}"`) ? [] : [name],
    );
  }
});

describe('a full pool', () => {
  let world: World;
  let pool: SmallDisk;

  before(async () => {
    world = await World.start();
    pool = await SmallDisk.mount(world.poolPath, { sizeKib: 4096, mode: '777' });
    await world.createPool();
    await world.publish([await world.release('noble', OLD), await world.release('jammy', OLD)]);
  });
  after(async () => {
    await pool.unmount();
    await world.stop();
  });

  for (const freeKib of [0, 4, 700, 1500]) {
    it(`with ${freeKib} KiB free takes what fits, and the rest when there is room`, async () => {
      await pool.fill(freeKib);
      const { status, stderr } = await world.sync();
      const held = (await world.volumes()).filter((name) => name !== 'ballast');
      expect({ status, held: held.length }, stderr).to.deep.equal({ status: 17, held: freeKib < 1200 ? 0 : 1 });
      await pool.empty();
      expect(await world.sync()).to.include({ status: 0, stderr: '' });
      expect(await world.volumes()).to.have.lengthOf(2);
      await world.poolkeeper('purge', '--yes');
    });
  }
});
