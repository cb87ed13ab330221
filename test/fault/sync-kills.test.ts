import { expect } from 'chai';
import { setTimeout as delay } from 'node:timers/promises';
import { type Aftermath, aftermathOf, until } from '../support/aftermath.ts';
import { UpgradeHost } from './upgrade-host.ts';

/** How many random moments each kind of kill is tried at. */
const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 10);
const DISK = /\.img$/;
/** The two new images take about half a second. */
const SLOW = { kind: 'slow', bytesPerSecond: 5 * 2 ** 20 } as const;
const TRANSFER_MS = 500;

describe('a sync of three images', () => {
  let host: UpgradeHost;
  let expected: Aftermath;
  let journalLines: number;

  before(async () => {
    host = await UpgradeHost.start();
    ({ aftermath: expected, lines: journalLines } = await host.undisturbed());
  });
  after(() => host.stop());
  beforeEach(() => host.rewind());

  it('comes to the same end after SIGKILL at every line of its journal', async () => {
    const reached = new Set<number>();
    for (let line = 2; line <= journalLines; line += 1) {
      await host.rewind();
      reached.add(await host.killAtLine(line));
      await expectSameEnd(`killed at line ${line}`);
    }
    console.log(`      killed ${journalLines - 1} times, at lines ${[...reached].join(', ')}`);
  }).timeout(180_000);

  for (const [signal, rounds] of [
    ['SIGKILL', ROUNDS],
    ['SIGTERM', Math.ceil(ROUNDS / 2)],
  ] as const) {
    it(`comes to the same end after ${signal} at random moments of the transfer`, async () => {
      for (let round = 0; round < rounds; round += 1) {
        await host.rewind();
        const program = await startTransfer();
        const moment = Math.random() * TRANSFER_MS;
        await delay(moment);
        program.kill(signal);
        await program.ended;
        await expectSameEnd(`${signal} after ${moment} ms`);
      }
      console.log(`      killed ${rounds} times`);
    }).timeout(30_000 + 6000 * ROUNDS);
  }

  it('comes to the same end when libvirtd is killed at random moments of the transfer', async () => {
    const rounds = Math.ceil(ROUNDS / 3);
    for (let round = 0; round < rounds; round += 1) {
      await host.rewind();
      const program = await startTransfer();
      const moment = Math.random() * TRANSFER_MS;
      await delay(moment);
      await host.world.libvirtd.kill9();
      await host.world.libvirtd.start();
      await program.ended;
      await expectSameEnd(`libvirtd killed after ${moment} ms`);
    }
    console.log(`      killed ${rounds} times`);
  }).timeout(30_000 + 6000 * ROUNDS);

  async function startTransfer() {
    host.world.server.fault(DISK, SLOW);
    const before = host.world.server.requests.length;
    const program = host.startSync();
    await until(() => host.world.server.requests.slice(before).some(({ path }) => DISK.test(path)));
    return program;
  }

  async function expectSameEnd(what: string): Promise<void> {
    expect(await host.brokenOffers(), what).to.deep.equal([]);
    host.world.server.clearFaults();
    const { status, stderr } = await host.startSync().ended;
    expect({ status, stderr }, what).to.deep.equal({ status: 0, stderr: '' });
    expect(await aftermathOf(host.world), what).to.deep.equal(expected);
  }
});
