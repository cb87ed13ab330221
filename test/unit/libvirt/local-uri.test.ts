import { expect } from 'chai';
import { isLocalUri } from '../../../src/libvirt/local-uri.ts';

describe('isLocalUri', () => {
  for (const [uri, isLocal] of [
    ['qemu:///system', true],
    ['qemu+unix:///session?socket=/run/user/1/libvirt/libvirt-sock', true],
    ['test:///default', true],
    ['qemu+ssh://host/system', false],
    ['qemu+ext:///system?command=/usr/local/bin/tunnel', false],
  ] as const) {
    it(`takes ${uri} for ${isLocal ? 'this host' : 'another one'}`, () => {
      expect(isLocalUri(uri)).to.equal(isLocal);
    });
  }
});
