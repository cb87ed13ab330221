import { expect } from 'chai';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { decodeVolumeName } from '../../src/core/identity.ts';
import { writeMetadataFile } from '../../src/state/metadata-files.ts';
import { aftermathOf, sha256Of } from '../support/aftermath.ts';
import { createQcow2, qemuImg } from '../support/qemu.ts';
import { World } from '../support/world.ts';

const SERIAL = '20240821';

describe('a volume that poolkeeper did not bring', () => {
  let world: World;
  let image: string;
  let volumeName: string;
  let path: string;

  beforeEach(async () => {
    world = await World.start();
    await world.createPool();
    image = await world.image('noble-1');
    await world.publish([{ release: 'noble', versions: [{ serial: SERIAL, image }] }]);
    volumeName = world.volumeName('noble', SERIAL);
    path = world.volumePath('noble', SERIAL);
  });
  afterEach(() => world.stop());

  it('is offered without a download when its content is what the source describes', async () => {
    await place(() => copyFile(image, path));
    const run = await world.sync('arch=amd64');
    const { volumes, metadata, records } = await aftermathOf(world);
    expect({ status: run.status, requests: imageRequests(), volumes, offered: Object.keys(metadata) }).to.deep.equal({
      status: 0,
      requests: 0,
      volumes: { [volumeName]: await sha256Of(image) },
      offered: [volumeName],
    });
    expect(records[volumeName]).to.deep.include({ status: 'active' });
    expect(records[volumeName]?.provenance.broughtBy).to.equal('adopted');
  });

  it('is not offered when its content is another one, and is fetched anew once it is gone', async () => {
    const half = (await readFile(image)).subarray(0, 500_000);
    await place(() => writeFile(path, half));
    const first = await world.sync('arch=amd64');
    expect(first.status).to.equal(15);
    expect(first.stderr).to.contain('is not what the source describes');
    expect((await aftermathOf(world)).metadata).to.deep.equal({});
    expect(await world.poolkeeper('query')).to.include({ stdout: '' });

    await world.sync('--allow-mass-removal', 'arch=amd64');
    expect(await world.sync('arch=amd64')).to.include({ status: 0 });
    expect((await aftermathOf(world)).volumes).to.deep.equal({ [volumeName]: await sha256Of(image) });
  });

  it('is not offered when its header reaches for other files, whoever signed it', async () => {
    await createQcow2(image, { sizeBytes: 2 ** 20, backing: '/etc/passwd', backingFormat: 'raw' });
    await world.publish([{ release: 'noble', versions: [{ serial: SERIAL, image }] }]);
    await place(() => copyFile(image, path));
    const run = await world.sync('arch=amd64');
    expect(run.status).to.equal(12);
    expect(run.stderr).to.contain("names a backing file: '/etc/passwd'");
    const { metadata, records } = await aftermathOf(world);
    // What never arrived is no loss, so the guard against mass removal does not keep it.
    expect({ metadata, status: records[volumeName]?.status }).to.deep.equal({ metadata: {}, status: 'deleted' });
  });

  for (const history of ['without a record', 'after a purge'] as const) {
    it(`is uvtool's converted copy when there is metadata, and is kept as it is, ${history}`, async () => {
      if (history === 'after a purge') {
        await world.sync('arch=amd64');
        await world.poolkeeper('purge', '--yes');
      }
      // uvtool converts what it downloads, so no digest of the source fits.
      await place(() =>
        qemuImg('convert', '-q', '-O', 'qcow2', '-o', 'compat=0.10', image, path).then(() => undefined),
      );
      const identity = decodeVolumeName(volumeName);
      if (identity === undefined) throw new Error('the volume has no name of an image');
      await writeMetadataFile(world.metadata, identity, { release: 'noble', arch: 'amd64', label: 'release' });
      const before = await sha256Of(path);
      const requests = imageRequests();
      const run = await world.sync('arch=amd64');
      const { volumes, metadata, records } = await aftermathOf(world);
      expect({ status: run.status, requests: imageRequests(), volumes, offered: Object.keys(metadata) }).to.deep.equal({
        status: 0,
        requests,
        volumes: { [volumeName]: before },
        offered: [volumeName],
      });
      const { status, provenance } = records[volumeName] ?? {};
      expect({ status, broughtBy: provenance?.broughtBy }).to.deep.equal({ status: 'active', broughtBy: 'uvtool' });
    });
  }

  /** Puts a file into the pool as another program would. */
  async function place(write: () => Promise<void>): Promise<void> {
    await write();
    await world.libvirtd.give(path);
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
  }

  function imageRequests(): number {
    return world.server.requests.filter((request) => request.path.endsWith('.img')).length;
  }
});
