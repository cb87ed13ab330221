import { expect } from 'chai';
import { open } from 'node:fs/promises';
import { World } from '../support/world.ts';

describe('files that the kernel holds open', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await publish('20240423');
    expect((await world.sync()).status).to.equal(0);
  });
  after(() => world.stop());

  async function publish(serial: string): Promise<void> {
    const versions = [{ serial, image: await world.image(serial) }];
    await world.publish([{ release: 'noble', arch: 'amd64', versions }]);
  }

  it('keep a volume that no domain knows of, until they are closed', async () => {
    const user = await open(world.volumePath('noble', '20240423'));
    await publish('20240821');
    const kept = await world.sync('--verbose');
    expect(kept.stdout).to.include(
      `keep image com.ubuntu.cloud:server:24.04:amd64 20240423: needed by process ${process.pid} (node`,
    );
    expect(await world.volumes()).to.include(world.volumeName('noble', '20240423'));

    await user.close();
    expect((await world.sync()).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20240821')]);
  });
});
