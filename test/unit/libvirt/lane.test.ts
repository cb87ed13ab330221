import { expect } from 'chai';
import { LibvirtError, NoSpaceError } from '../../../src/errors.ts';
import { callError } from '../../../src/libvirt/lane.ts';

describe('callError', () => {
  it("keeps libvirt's numbers and message, and adds what to do", () => {
    const error = callError("look up pool 'x'", { code: 88, domain: 18, message: 'access denied', int1: -1 });
    expect(error).to.be.instanceOf(LibvirtError);
    expect(error).to.include({
      message: "cannot look up pool 'x': access denied",
      virErrorNumber: 88,
      virErrorDomain: 18,
      hint: 'add the user to group libvirt, or run as root',
    });
  });

  it('tells a full storage by its errno, not by its message', () => {
    const native = { code: 38, domain: 38, message: 'Unable to write /x', int1: 28 };
    const full = callError('write', native);
    expect(full).to.be.instanceOf(NoSpaceError).and.to.include({ exitStatus: 17 });
    expect(full.cause).to.be.instanceOf(LibvirtError).and.to.include({ virErrorNumber: 38 });
    expect(callError('write', { ...native, code: 1 })).to.be.instanceOf(LibvirtError);
    expect(callError('write', { ...native, int1: 5 })).to.be.instanceOf(LibvirtError);
  });

  it('says so when libvirt gives no reason', () => {
    expect(callError('write', undefined)).to.include({
      message: 'cannot write: libvirt gives no reason',
      virErrorNumber: 0,
    });
  });
});
