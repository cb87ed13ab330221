import { expect } from 'chai';
import { readFile, writeFile } from 'node:fs/promises';
import { isWrittenLater, showsDelayedWrites } from '../support/delayed-write.ts';
import { createQcow2 } from '../support/qemu.ts';
import { World } from '../support/world.ts';

const SERIAL = '20240821';

describe('what is offered is on the disk', () => {
  let world: World;
  let image: string;
  let path: string;

  before(async function () {
    world = await World.start();
    if (!(await showsDelayedWrites(world.root))) this.skip();
  });
  beforeEach(async () => {
    await world.stop();
    world = await World.start();
    await world.createPool();
    image = await world.image('noble-1');
    path = world.volumePath('noble', SERIAL);
    await world.publish([{ release: 'noble', versions: [{ serial: SERIAL, image }] }]);
  });
  after(() => world.stop());

  async function offered(): Promise<readonly string[]> {
    return (await world.poolkeeper('query')).stdout.trim().split('\n');
  }

  it('when it was fetched', async () => {
    expect(await world.sync('arch=amd64')).to.include({ status: 0 });
    expect(await offered()).to.have.lengthOf(1);
    expect(await isWrittenLater(path)).to.equal(false);
  });

  it('when it was found', async () => {
    await writeFile(path, await readFile(image));
    await world.libvirtd.give(path);
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    expect(await isWrittenLater(path), 'before').to.equal(true);
    expect(await world.sync('arch=amd64')).to.include({ status: 0 });
    expect(await offered()).to.have.lengthOf(1);
    expect(await isWrittenLater(path)).to.equal(false);
  });

  it('when it was imported', async () => {
    const golden = `${world.root}/golden.qcow2`;
    await createQcow2(golden, { sizeBytes: 2 ** 20 });
    expect(await world.poolkeeper('import', golden, '--name', 'golden')).to.include({ status: 0 });
    const [line = ''] = (await world.poolkeeper('path', '--any', 'golden')).stdout.split('\n');
    expect(line).to.contain(world.poolPath);
    expect(await isWrittenLater(line)).to.equal(false);
  });
});
