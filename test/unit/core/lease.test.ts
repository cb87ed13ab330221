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
    ['rebooted', 'ends with a reboot of its host', { ...here, bootId: 'b008' }],
    ['live', 'is not ended early by a clock that jumps forward', { ...here, now: here.now + 365 * 86_400_000 }],
    ['expired', 'is not prolonged by a clock that jumps back', { ...here, now: 0, uptime: 15 * MINUTE }],
    ['live', 'of another host goes by the clock', { ...here, host: 'kvm2', bootId: 'b0', uptime: 10 ** 9 }],
    ['expired', 'of another host ends by the clock', { ...here, host: 'kvm2', now: LEASE.expiresAt, uptime: 0 }],
  ] as const) {
    it(title, () => {
      expect(leaseState(LEASE, moment)).to.equal(state);
    });
  }

  it('names a program without its folder and its arguments, which may hold secrets', () => {
    expect(commandText(['/usr/bin/virt-install', '--password', 'x'])).to.equal('virt-install …');
    expect(commandText(['true'])).to.equal('true');
  });
});
