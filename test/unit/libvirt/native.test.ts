import { expect } from 'chai';
import { LibvirtError } from '../../../src/errors.ts';
import { loadNative, versionText } from '../../../src/libvirt/native.ts';

describe('native', () => {
  it('says which package is missing when libvirt is', async () => {
    const error = await loadNative('libvirt-absent.so.0').catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(LibvirtError);
    expect(error).to.include({ hint: 'apt-get install libvirt0', exitStatus: 10 });
    expect(error)
      .to.have.property('message')
      .that.matches(/^cannot load libvirt-absent\.so\.0: /);
  });

  it('writes versions as libvirt encodes them', () => {
    expect([versionText(9_000_000), versionText(7_002_013)]).to.deep.equal(['9.0.0', '7.2.13']);
  });
});
