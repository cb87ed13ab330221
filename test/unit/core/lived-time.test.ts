import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  type ClockReading,
  countLived,
  livedBetween,
  type LivedCount,
  livedSince,
} from '../../../src/core/lived-time.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOON = Date.UTC(2026, 0, 1, 12);
const THEN: ClockReading = { now: NOON, uptime: HOUR, bootId: 'b1' };

describe('livedBetween', () => {
  for (const [title, now, lived] of [
    ['counts what the kernel counts within one boot', { now: NOON + HOUR, uptime: 2 * HOUR, bootId: 'b1' }, HOUR],
    ['does not see a clock that is set forward', { now: NOON + 400 * DAY, uptime: 2 * HOUR, bootId: 'b1' }, HOUR],
    ['does not see a clock that is set back', { now: 0, uptime: 2 * HOUR, bootId: 'b1' }, HOUR],
    ['is nothing when one boot has gone backwards', { now: NOON + HOUR, uptime: 0, bootId: 'b1' }, 0],
    ['goes by the wall clock over a boot', { now: NOON + 5 * HOUR, uptime: MINUTE, bootId: 'b2' }, 5 * HOUR],
    ['counts a day at most for a boot', { now: NOON + 90 * DAY, uptime: MINUTE, bootId: 'b2' }, DAY + MINUTE],
    ['counts the new boot although its clock begins in 1970', { now: 0, uptime: MINUTE, bootId: 'b2' }, MINUTE],
    [
      'takes the smaller of both if the boot may be the same',
      { now: NOON + DAY, uptime: 2 * HOUR, bootId: 'b2' },
      HOUR,
    ],
    ['knows a boot by another name by its length', { now: NOON + HOUR, uptime: 2 * HOUR, bootId: 'b2' }, HOUR],
  ] as const) {
    it(`${title} [A6]`, () => expect(livedBetween(THEN, now)).to.equal(lived));
  }
});

/** A host whose true time is known, and whose clocks can be set. */
class Host {
  trueMs = 0;
  #bootedAt = -HOUR;
  #offset = NOON;
  #boots = 0;
  count: LivedCount | undefined;

  get reading(): ClockReading {
    return { now: this.trueMs + this.#offset, uptime: this.trueMs - this.#bootedAt, bootId: `b${this.#boots}` };
  }

  live(ms: number): void {
    this.trueMs += ms;
  }

  setClock(byMs: number): void {
    this.#offset += byMs;
  }

  reboot(offMs: number): void {
    this.trueMs += offMs;
    this.#bootedAt = this.trueMs;
    this.#boots += 1;
  }

  /** A run; returns what the wall clock says, which is what a record would say. */
  run(): number {
    this.count = countLived(this.count, this.reading);
    return this.reading.now;
  }

  since(time: number): number {
    this.run();
    if (this.count === undefined) throw new Error('there is no count');
    return livedSince(this.count, time);
  }
}

describe('livedSince', () => {
  it('ends no wait because the clock is a year ahead, and ends it in time once it is right [A6]', () => {
    const host = new Host();
    const retiredAt = host.run();
    host.live(HOUR);
    host.setClock(365 * DAY);
    expect(host.since(retiredAt)).to.equal(HOUR);
    host.setClock(-365 * DAY);
    host.live(HOUR);
    expect(host.since(retiredAt)).to.equal(2 * HOUR);
  });

  it('ends no wait after a boot without a battery, whose clock is set later [A6]', () => {
    const host = new Host();
    host.setClock(-NOON);
    const retiredAt = host.run();
    host.live(MINUTE);
    host.setClock(NOON);
    expect(host.since(retiredAt)).to.equal(MINUTE);
    // The twin: a day that was lived counts.
    host.live(DAY);
    expect(host.since(retiredAt)).to.equal(DAY + MINUTE);
  });

  it('counts a day at most for what lies before the count, as for a boot [A6]', () => {
    const host = new Host();
    expect(host.since(NOON - 90 * DAY)).to.equal(DAY);
    expect(host.since(NOON - 3 * HOUR)).to.equal(3 * HOUR);
    host.live(HOUR);
    expect(host.since(NOON - 90 * DAY)).to.equal(DAY + HOUR);
  });

  it('is less than nothing for a time that is yet to come', () => {
    expect(new Host().since(NOON + HOUR)).to.equal(-HOUR);
  });

  it('is what was lived, whatever the clock is set to, and never more than a day off for each boot [A6]', () => {
    const step = fc.record({
      kind: fc.constantFrom('live', 'set', 'boot', 'stamp'),
      ms: fc.integer({ min: -60 * DAY, max: 60 * DAY }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
        const host = new Host();
        const stamps: { time: number; trueMs: number; boots: number }[] = [];
        let boots = 0;
        for (const { kind, ms } of steps) {
          if (kind === 'live') host.live(Math.abs(ms));
          else if (kind === 'set') host.setClock(ms);
          else if (kind === 'boot') host.reboot(Math.abs(ms));
          else stamps.push({ time: host.run(), trueMs: host.trueMs, boots });
          if (kind === 'boot') boots += 1;
          for (const stamp of stamps) {
            const most = host.trueMs - stamp.trueMs + (boots - stamp.boots) * DAY;
            expect(host.since(stamp.time)).to.be.at.most(most);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('is exact within a boot as long as nobody sets the clock, however many runs there are [A6]', () => {
    const host = new Host();
    const first = host.run();
    for (let run = 0; run < 2000; run += 1) {
      host.live(HOUR);
      expect(host.since(first)).to.equal((run + 1) * HOUR);
    }
    expect(host.count?.spans).to.have.lengthOf(1);
  });
});
