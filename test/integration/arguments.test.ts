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

  it('are refused when an option for one value is repeated', async () => {
    const run = await world.poolkeeper('query', '--pool', 'uvtool', '--pool', 'other');
    expect(run).to.deep.equal({
      status: 2,
      stdout: '',
      stderr: 'poolkeeper: error: --pool was given more than once\npoolkeeper: hint: give it once\n',
    });
  });
});
