import { expect } from 'chai';
import { ENTER, grants, isAccountName, READ } from '../../../src/core/permissions.ts';

const QEMU = { uid: 64_055, gids: [64_055, 104] };

describe('grants', () => {
  for (const [what, file, expected] of [
    ['its own file that it can read', { mode: 0o400, owner: 64_055, group: 0 }, true],
    ['its own file that only others can read', { mode: 0o044, owner: 64_055, group: 64_055 }, false],
    ['a file of its group', { mode: 0o640, owner: 0, group: 64_055 }, true],
    ['a file of a group that it is a member of', { mode: 0o640, owner: 0, group: 104 }, true],
    ['a file of its group that only others can read', { mode: 0o604, owner: 0, group: 104 }, false],
    ["somebody's file that everybody can read", { mode: 0o604, owner: 0, group: 0 }, true],
    ["somebody's file that nobody else can read", { mode: 0o660, owner: 0, group: 0 }, false],
    ['a file of user 0', { mode: 0o600, owner: 0, group: 0 }, false],
  ] as const) {
    it(`says whether a user can read ${what}`, () => {
      expect(grants(file, QEMU, READ)).to.equal(expected);
    });
  }

  it('tells entering a folder from reading it', () => {
    expect(grants({ mode: 0o711, owner: 0, group: 0 }, QEMU, ENTER)).to.equal(true);
    expect(grants({ mode: 0o711, owner: 0, group: 0 }, QEMU, READ)).to.equal(false);
    expect(grants({ mode: 0o744, owner: 0, group: 0 }, QEMU, ENTER)).to.equal(false);
  });
});

describe('isAccountName', () => {
  for (const name of ['root', 'libvirt-qemu', '_apt', 'host$', 'a.b@example.org', '0', '64055', '4294967294']) {
    it(`takes ${name}`, () => {
      expect(isAccountName(name)).to.equal(true);
    });
  }

  for (const name of ['', '-1', '4294967295', '12345678901', 'a b', '-G', '+5', 'a:b', '1.5']) {
    it(`refuses '${name}'`, () => {
      expect(isAccountName(name)).to.equal(false);
    });
  }
});
