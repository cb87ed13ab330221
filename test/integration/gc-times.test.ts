import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { gcCommand } from '../../src/commands/gc.ts';
import { lockCommand } from '../../src/commands/lock.ts';
import { withGate } from '../../src/state/gate.ts';
import { readRecords } from '../../src/state/records.ts';
import { stateOf, until } from '../support/aftermath.ts';
import { inProcess } from '../support/in-process.ts';
import { type Snapshot, takeSnapshot } from '../support/snapshot.ts';
import { startProgram, World } from '../support/world.ts';

const DAYS = ['20240401', '20240402', '20240403'] as const;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('gc, over time', () => {
  let world: World;
  let snapshot: Snapshot;
  let now: number;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.holdVersions('noble', DAYS);
    snapshot = await takeSnapshot(world);
  });
  after(() => world.stop());
  beforeEach(async () => {
    await snapshot.rewind();
    now = Date.now();
  });

  const volume = (day: string): string => world.volumeName('noble', day);

  /** Collects in this process, at a moment of the test's choice. */
  async function gcAt(at: number, keepVersions = 1, grace = '2h'): Promise<void> {
    const { context, options, written } = inProcess(world, () => at);
    const policy = {
      keepVersions,
      grace,
      minAge: '0',
      unusedFor: undefined,
      maxSize: undefined,
      gone: 'keep',
    } as const;
    const rest = {
      dryRun: false,
      yes: true,
      out: undefined,
      emptyTrash: false,
      metricsFile: undefined,
      allowMassRemoval: true,
    };
    await gcCommand(context).handler({ ...options, ...policy, ...rest, _: [], $0: '' });
    expect(written.stderr).to.equal('');
  }

  async function lockAt(at: number, day: string, period: string): Promise<void> {
    const { context, options } = inProcess(world, () => at);
    const words = { image: [volume(day)], reason: undefined, until: period };
    await lockCommand(context).handler({ ...options, ...words, _: [], $0: '' });
  }

  it('refuses a second collector while one is at work, and names the first', async () => {
    const state = await stateOf(world);
    const policy = ['--grace', '0', '--min-age', '0', '--allow-mass-removal'];
    const start = () => startProgram(['gc', '--yes', ...policy, ...world.options], world.root);
    const { signal } = new AbortController();
    const first = await withGate(join(state, 'gate'), 'shared', { signal }, async () => {
      const running = start();
      // It waits for the gate, since somebody is taking a lease.
      await until(async () => (await readFile(join(state, 'lock'), 'utf8').catch(() => '')).includes('"pid"'));
      const { status, stdout, stderr } = await start().ended;
      expect([status, stdout]).to.deep.equal([14, '']);
      expect(/locked by pid \d+ on (\S+) since \S+ \(poolkeeper gc\)$/m.exec(stderr)?.[1], stderr).to.equal(hostname());
      return running;
    });
    const { status, stderr } = await first.ended;
    expect([status, stderr]).to.deep.equal([0, '']);
    expect(await world.volumes()).to.deep.equal([volume('20240403')]);
    const again = await start().ended;
    expect([again.status, again.stderr]).to.deep.equal([0, '']);
    expect(await world.volumes()).to.deep.equal([volume('20240403')]);
  });

  it('keeps what is locked for a time exactly so long', async () => {
    await lockAt(now, '20240401', '1h');
    await gcAt(now + HOUR - 1, 1, '0');
    expect(await world.volumes()).to.deep.equal([volume('20240401'), volume('20240403')].sort());
    await gcAt(now + HOUR, 1, '0');
    expect(await world.volumes()).to.deep.equal([volume('20240403')]);
  });

  it('holds a lock when the clock is set back behind the moment when it was made', async () => {
    await lockAt(now, '20240401', '1h');
    await gcAt(now - DAY, 1, '0');
    expect(await world.volumes()).to.include(volume('20240401'));
  });

  it('deletes nothing sooner because the clock was a year ahead for a while, and nothing a year later', async () => {
    await gcAt(now + 365 * DAY);
    expect(await world.volumes()).to.have.lengthOf(3);
    await gcAt(now);
    expect(await world.volumes()).to.have.lengthOf(3);
    await gcAt(now + 2 * HOUR - MINUTE);
    expect(await world.volumes()).to.have.lengthOf(3);
    await gcAt(now + 2 * HOUR + MINUTE);
    expect(await world.volumes()).to.deep.equal([volume('20240403')]);
  });

  it('waits longer, not shorter, when the clock was a year behind for a while', async () => {
    await gcAt(now - 365 * DAY);
    const { records } = await readRecords(join(await stateOf(world), 'records'));
    const neededAt = records.get(volume('20240401'))?.times.lastNeededAt ?? 0;
    expect(neededAt).to.be.greaterThan(now - DAY);
    await gcAt(neededAt + 2 * HOUR - 1, 2);
    expect(await world.volumes()).to.have.lengthOf(3);
    await gcAt(now + 2 * HOUR + MINUTE, 2);
    expect(await world.volumes()).to.deep.equal([volume('20240403')]);
  });
});
