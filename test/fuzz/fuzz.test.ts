import { expect } from 'chai';
import { fuzz } from './fuzz.ts';
import { openTargets, type Target } from './targets.ts';

const RUNS = 300;

describe('readers of what others write', () => {
  let targets: readonly Target[];

  before(async () => {
    targets = await openTargets();
  });
  after(async () => {
    for (const target of targets) await target.close?.();
  });

  it('throw nothing but errors for the user, and come to an end, whatever they read', async () => {
    const runs = new Map<string, number>();
    for (const target of targets) runs.set(target.name, await fuzz(target, { runs: RUNS }));
    expect([...runs.values()]).to.deep.equal(targets.map(() => RUNS));
    console.log(`      ${targets.length} targets, ${RUNS} inputs each`);
  });
});
