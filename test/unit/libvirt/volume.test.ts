import { expect } from 'chai';
import { volumeXml } from '../../../src/libvirt/volume.ts';
import { poolXml } from '../../../src/libvirt/storage-pool.ts';

describe('volumeXml', () => {
  it('describes a plain image', () => {
    expect(volumeXml({ name: 'a&b.img', capacityBytes: 1024n, format: 'qcow2' })).to.equal(
      "<volume><name>a&#38;b.img</name><capacity unit='bytes'>1024</capacity><target><format type='qcow2'/></target></volume>",
    );
  });

  it('describes an overlay that reserves nothing', () => {
    const backing = { path: '/srv/<base>', format: 'raw' };
    expect(volumeXml({ name: 'o', capacityBytes: 1n, format: 'qcow2', allocationBytes: 0n, backing })).to.equal(
      "<volume><name>o</name><capacity unit='bytes'>1</capacity><allocation unit='bytes'>0</allocation>" +
        "<target><format type='qcow2'/></target>" +
        "<backingStore><path>/srv/&#60;base&#62;</path><format type='raw'/></backingStore></volume>",
    );
  });

  it('asks for the permissions that are known, and leaves the others to libvirt', () => {
    const volume = { name: 'p', capacityBytes: 1n, format: 'raw' };
    const permissionsIn = (xml: string) => /<format type='raw'\/>(.*)<\/target>/.exec(xml)?.[1];
    expect(permissionsIn(volumeXml({ ...volume, permissions: { owner: 0, group: 64_055, mode: '0640' } }))).to.equal(
      '<permissions><mode>0640</mode><owner>0</owner><group>64055</group></permissions>',
    );
    expect(permissionsIn(volumeXml({ ...volume, permissions: { group: 64_055 } }))).to.equal(
      '<permissions><group>64055</group></permissions>',
    );
    expect(permissionsIn(volumeXml({ ...volume, permissions: undefined }))).to.equal('');
  });
});

describe('poolXml', () => {
  it('describes a directory and leaves its mode to libvirt', () => {
    expect(poolXml({ name: "it's", targetPath: '/srv/a b' })).to.equal(
      "<pool type='dir'><name>it&#39;s</name><target><path>/srv/a b</path></target></pool>",
    );
  });
});
