import { expect } from 'chai';
import { type ServiceFacts, serviceHint } from '../../../src/state/service-limits.ts';

const MOUNTS = [
  '21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro',
  '22 21 8:2 / /home ro,nosuid - ext4 /dev/sda2 rw',
  '23 21 8:1 /usr /usr ro,relatime - ext4 /dev/sda1 rw,errors=remount-ro',
  '24 21 8:3 / /srv/with\\040space ro - ext4 /dev/sda3 ro',
  '25 21 8:4 / /srv/strict ro - ext4 /dev/sda4 rw',
].join('\n');
/** As the unit leaves it: DAC_READ_SEARCH, SYS_PTRACE, CHOWN. */
const LIMITED = 'Name:\tnode\nUid:\t0\t0\t0\t0\nCapEff:\t0000000000080005\n';
const SERVICE: ServiceFacts = {
  cgroup: '9:name=systemd:/system.slice/poolkeeper-sync.service\n0::/system.slice/poolkeeper-sync.service\n',
  mountinfo: MOUNTS,
  status: LIMITED,
};

describe('serviceHint', () => {
  it('names the setting that makes a place read-only for the service alone', () => {
    const hint = (path: string): string | undefined => serviceHint('EROFS', path, SERVICE);
    expect(hint('/home/figures/x.prom')).to.match(/^ProtectHome=read-only of poolkeeper-sync.service forbids it/);
    expect(hint('/usr/share/x')).to.match(/^ProtectSystem=full of poolkeeper-sync.service forbids it/);
    expect(hint('/srv/strict/x')).to.match(/^ProtectSystem=strict of poolkeeper-sync.service forbids it/);
  });

  it('leaves a file system that is read-only for all to the general hint', () => {
    expect(serviceHint('EROFS', '/srv/with space/x', SERVICE)).to.equal(undefined);
    expect(serviceHint('EROFS', '/var/x', SERVICE)).to.equal(undefined);
  });

  it('speaks of rights where root has to keep to modes', () => {
    const hint = serviceHint('EACCES', "/var/lib/it's/x.prom", SERVICE);
    expect(hint).to.match(
      /^CapabilityBoundingSet= of poolkeeper-sync.service .*; run as root: chgrp root '(.*)' && chmod g\+rwx '\1'$/,
    );
    expect(hint).to.contain(String.raw`'/var/lib/it'\''s'`);
    expect(serviceHint('EPERM', '/x/y', SERVICE)).to.contain('in a shell of root');
  });

  it('says nothing where no unit is the reason', () => {
    const all = LIMITED.replace(/CapEff.*/, 'CapEff:\t000001ffffffffff');
    const user = LIMITED.replace(/Uid.*/, 'Uid:\t1000\t1000\t1000\t1000');
    expect(serviceHint('EACCES', '/x/y', { ...SERVICE, status: all })).to.equal(undefined);
    expect(serviceHint('EACCES', '/x/y', { ...SERVICE, status: user })).to.equal(undefined);
    expect(serviceHint('EROFS', '/home/x', { ...SERVICE, cgroup: '0::/user.slice/session-1.scope\n' })).to.equal(
      undefined,
    );
  });
});
