import { expect } from 'chai';
import { hostname } from 'node:os';
import { UpgradeHost } from '../fault/upgrade-host.ts';
import { type Aftermath, aftermathOf } from '../support/aftermath.ts';
import type { Run } from '../support/world.ts';

const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 20);
const HOLDER =
  /^poolkeeper: error: pool state is locked by pid \d+ on (\S+) since \d{4}-\d\d-\d\dT[\d:.]+Z \(poolkeeper sync\)\npoolkeeper: hint: wait until it is done, or stop it\n$/;

describe('two syncs at once', () => {
  let host: UpgradeHost;
  let expected: Aftermath;

  before(async () => {
    host = await UpgradeHost.start();
    ({ aftermath: expected } = await host.undisturbed());
  });
  after(() => host.stop());

  for (const [what, second] of [
    ['the same filters', ['arch=amd64']],
    ['different filters', ['release=noble']],
  ] as const) {
    it(`lose nothing and leave no half image, with ${what}`, async () => {
      let lost = 0;
      for (let round = 0; round < ROUNDS / 2; round += 1) {
        await host.rewind();
        // Long enough for the second to come while the first is at work.
        host.world.server.fault(/\.img$/, { kind: 'slow', bytesPerSecond: 8 * 2 ** 20 });
        const running = [host.startSync(), host.world.startSync(...second)];
        const runs = await Promise.all(running.map(({ ended }) => ended));
        lost += runs.filter(({ status }) => status === 14).length;
        for (const run of runs) expectWonOrTold(run);
        expect(await host.brokenOffers()).to.deep.equal([]);
        host.world.server.clearFaults();
        expect(await host.startSync().ended).to.include({ status: 0, stderr: '' });
        expect(await aftermathOf(host.world)).to.deep.equal(expected);
      }
      expect(lost).to.be.greaterThan(0);
      console.log(`      ${ROUNDS / 2} rounds, ${lost} losers`);
    }).timeout(60_000 + 6000 * ROUNDS);
  }
});

/** One does its work; the other does it afterwards, or is told who is at work. */
function expectWonOrTold({ status, stderr }: Run): void {
  if (status === 14) expect(HOLDER.exec(stderr)?.[1], stderr).to.equal(hostname());
  else expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
}
