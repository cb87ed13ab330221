import { expect } from 'chai';
import { World } from '../support/world.ts';

describe('sync', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());

  it('brings the newest version of every product into the pool', async () => {
    await world.publish([
      { release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image: await world.image('noble-1') }] },
    ]);
    const run = await world.sync('arch=amd64');
    console.log(run.stdout, run.stderr);
    expect(run.status).to.equal(0);
    console.log(await world.volumes());
    const q = await world.poolkeeper('query');
    console.log(q);
  });
});
