import { expect } from 'chai';
import { Pace } from '../../../src/report/pace.ts';

describe('the pace of a transfer', () => {
  it('is unknown until there are two moments to compare', () => {
    const pace = new Pace();
    expect(pace.bytesPerSecond).to.equal(undefined);
    pace.note(1000, 5n);
    expect(pace.bytesPerSecond).to.equal(undefined);
    pace.note(1000, 6n);
    expect(pace.bytesPerSecond).to.equal(undefined);
  });

  it('does not count what was there before', () => {
    const pace = new Pace();
    pace.note(0, 1_000_000n);
    pace.note(2000, 1_000_500n);
    expect(pace.bytesPerSecond).to.equal(250);
  });

  it('forgets what is longer ago than its window', () => {
    const pace = new Pace(1000);
    for (const [atMs, bytes] of [
      [0, 0n],
      [500, 5000n],
      [1000, 5100n],
      [1500, 5200n],
      [2000, 5300n],
    ] as const)
      pace.note(atMs, bytes);
    expect(pace.bytesPerSecond).to.equal(200);
  });

  it('falls to nothing when nothing comes', () => {
    const pace = new Pace(1000);
    for (const atMs of [0, 500, 1000, 1500]) pace.note(atMs, 42n);
    expect(pace.bytesPerSecond).to.equal(0);
  });

  it('begins anew when a transfer does', () => {
    const pace = new Pace();
    pace.note(0, 0n);
    pace.note(1000, 9000n);
    pace.note(2000, 100n);
    expect(pace.bytesPerSecond).to.equal(undefined);
    pace.note(3000, 200n);
    expect(pace.bytesPerSecond).to.equal(100);
  });
});
