import { expect } from 'chai';
import { World } from '../support/world.ts';

describe('arguments', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const versions = [{ serial: '20240821', image: await world.image('one') }];
    await world.publish([
      { release: 'noble', arch: 'amd64', versions },
      { release: 'noble', arch: 'arm64', versions },
      { release: 'jammy', arch: 'amd64', versions },
    ]);
  });
  after(() => world.stop());

  it('select with every filter that is given, not only the last', async () => {
    expect((await world.sync('release=noble', 'arch=amd64')).status).to.equal(0);
    expect(await world.volumes()).to.deep.equal([world.volumeName('noble', '20240821')]);
  });

  it('count the last time they are given, if they are for one value', async () => {
    const run = await world.poolkeeper('query', '--pool', 'other', '--pool', 'uvtool');
    expect(run.status).to.equal(0);
  });
});
