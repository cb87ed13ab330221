import { expect } from 'chai';
import { buildAll, fateOf, type Scenario, type Stage } from '../support/scenario.ts';
import { BACKING_SCENARIOS } from '../support/scenario-backing.ts';
import { CHAIN_SCENARIOS } from '../support/scenario-chains.ts';
import { DOMAIN_SCENARIOS } from '../support/scenario-domains.ts';
import { LEAF_SCENARIOS } from '../support/scenario-leaves.ts';
import { NAME_SCENARIOS } from '../support/scenario-names.ts';
import { type Run, World } from '../support/world.ts';

const SCENARIOS: readonly Scenario[] = [
  ...LEAF_SCENARIOS,
  ...NAME_SCENARIOS,
  ...BACKING_SCENARIOS,
  ...CHAIN_SCENARIOS,
  ...DOMAIN_SCENARIOS,
];

describe('sync beside domains that need images', () => {
  let world: World;
  let stages: readonly Stage[] = [];
  let run: Run;

  before(async function () {
    this.timeout(120_000);
    world = await World.start();
    await world.createPool();
    const image = await world.image('noble');
    await world.publish([{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }]);
    stages = await buildAll(world, SCENARIOS);
    run = await world.sync('arch=amd64', '--allow-mass-removal');
  });
  after(() => world.stop());

  it('sees everything and deletes without a complaint', () => {
    expect({ status: run.status, stderr: run.stderr }).to.deep.equal({ status: 0, stderr: '' });
  });

  for (const [index, { row, title }] of SCENARIOS.entries()) {
    it(`${title} (${row})`, async () => {
      const stage = stages[index] ?? expect.fail('no stage');
      expect(await fateOf(stage)).to.deep.equal({ lost: [], uncollected: [], collected: stage.twins });
    });
  }
});
