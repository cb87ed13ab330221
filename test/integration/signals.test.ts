import { expect } from 'chai';
import { setTimeout as delay } from 'node:timers/promises';
import { UpgradeHost } from '../fault/upgrade-host.ts';
import { type Aftermath, aftermathOf, until } from '../support/aftermath.ts';

const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 10);
const STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 130 } as const;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const DISK = /\.img$/;

describe('a sync that gets a signal', () => {
  let host: UpgradeHost;
  let expected: Aftermath;

  before(async () => {
    host = await UpgradeHost.start();
    ({ aftermath: expected } = await host.undisturbed());
  });
  after(() => host.stop());
  beforeEach(() => host.rewind());

  it('finishes or undoes its step at any moment, says which signal it was, and the next run comes to the same end', async () => {
    const seen: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await host.rewind();
      host.world.server.fault(DISK, { kind: 'slow', bytesPerSecond: 8 * 2 ** 20 });
      const signal = SIGNALS[round % SIGNALS.length] ?? 'SIGINT';
      const before = host.world.server.requests.length;
      const program = host.startSync();
      await until(() => host.world.server.requests.length > before);
      await delay(Math.random() * 500);
      program.kill(signal);
      const { status, stderr } = await program.ended;
      seen.push(`${signal} ${status}`);
      // Node takes its handlers down before it ends: a signal that comes then finds everything done.
      if (status === 0 || status === -1) expect(await aftermathOf(host.world)).to.deep.equal(expected);
      else
        expect({ status, stderr }).to.deep.equal({
          status: STATUS[signal],
          stderr: `poolkeeper: error: stopped by ${signal}\n`,
        });
      await expectSameEnd();
    }
    console.log(`      ${seen.join(', ')}`);
  }).timeout(30_000 + 6000 * ROUNDS);

  it('ends at once on a second signal, even while libvirt does not answer', async () => {
    host.world.server.fault(DISK, { kind: 'slow', bytesPerSecond: 8 * 2 ** 20 });
    const before = host.world.server.requests.length;
    const program = host.startSync();
    await until(() => host.world.server.requests.slice(before).some(({ path }) => DISK.test(path)));
    process.kill(host.world.libvirtd.pid, 'SIGSTOP');
    try {
      program.kill('SIGINT');
      const first = await Promise.race([program.ended, delay(300)]);
      program.kill('SIGINT');
      const { status } = await program.ended;
      expect({ first, status }).to.deep.equal({ first: undefined, status: -1 });
    } finally {
      process.kill(host.world.libvirtd.pid, 'SIGCONT');
    }
    await expectSameEnd();
  });

  async function expectSameEnd(): Promise<void> {
    expect(await host.brokenOffers()).to.deep.equal([]);
    host.world.server.clearFaults();
    expect(await host.startSync().ended).to.include({ status: 0, stderr: '' });
    expect(await aftermathOf(host.world)).to.deep.equal(expected);
  }
});
