import { expect } from 'chai';
import { commandText, type Lease, leaseState } from '../../../src/core/lease.ts';

const MINUTE = 60_000;
const LEASE: Lease = {
  id: '3f2a9c01',
  volumeName: 'base.qcow2',
  command: 'virt-install …',
  pid: 123,
  processStart: 4567,
  host: 'kvm1',
  bootId: 'b007',
  createdAt: 1_000_000_000,
  expiresAt: 1_000_000_000 + 10 * MINUTE,
  createdAtUptime: 5 * MINUTE,
};

describe('a lease', () => {
  const here = { host: 'kvm1', bootId: 'b007', uptime: 14 * MINUTE, now: LEASE.createdAt + 9 * MINUTE };

  for (const [state, title, moment] of [
    ['live', 'counts until its time is over', here],
    ['expired', 'ends with its time', { ...here, uptime: 15 * MINUTE }],
    [
      'live',
      'is not ended by another name of the boot, which a container has of its own [C5]',
      { ...here, bootId: 'b008' },
    ],
    [
      'expired',
      'ends by another name of the boot as well once its time is over',
      { ...here, bootId: 'b008', uptime: 15 * MINUTE, now: LEASE.expiresAt },
    ],
    [
      'live',
      'is not ended by a clock that jumps forward and another name of the boot [C5]',
      { ...here, bootId: 'b008', now: here.now + 365 * 86_400_000 },
    ],
    [
      'live',
      'outlasts a boot that its process seems to have outlasted [C5]',
      { ...here, bootId: 'b008', uptime: MINUTE },
    ],
    ['live', 'is not ended early by a clock that jumps forward', { ...here, now: here.now + 365 * 86_400_000 }],
    ['expired', 'is not prolonged by a clock that jumps back', { ...here, now: 0, uptime: 15 * MINUTE }],
    ['live', 'of another host goes by the clock', { ...here, host: 'kvm2', bootId: 'b0', uptime: 10 ** 9 }],
    ['expired', 'of another host ends by the clock', { ...here, host: 'kvm2', now: LEASE.expiresAt, uptime: 0 }],
  ] as const) {
    it(title, () => {
      expect(leaseState(LEASE, moment, false)).to.equal(state);
    });
  }

  it('ends with a boot of its host once its process is gone for certain, and not before [C5 twin]', () => {
    const rebooted = { ...here, bootId: 'b008', uptime: MINUTE };
    expect(leaseState(LEASE, rebooted, true)).to.equal('rebooted');
    // In the same boot, what the process started may still run.
    expect(leaseState(LEASE, here, true)).to.equal('live');
    expect(leaseState(LEASE, { ...here, bootId: 'b008' }, true)).to.equal('live');
  });

  it('names a program without its folder and its arguments, which may hold secrets', () => {
    expect(commandText(['/usr/bin/virt-install', '--password', 'x'])).to.equal('virt-install …');
    expect(commandText(['true'])).to.equal('true');
  });
});
