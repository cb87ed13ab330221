import { expect } from 'chai';
import type { Reference } from '../../../src/core/reference.ts';
import { nameTokens, networkTokensOfVolume } from '../../../src/core/reference-tokens.ts';

const evidence = '/domain/devices/disk/source';

const REFERENCES: readonly (readonly [Reference, readonly string[]])[] = [
  [{ kind: 'volume', pool: 'default', value: 'base.qcow2', evidence }, ['volume:default/base.qcow2']],
  [{ kind: 'volume', pool: 'default', value: 'a\tb\nc', evidence }, ['volume:default/a b c']],
  [{ kind: 'network', protocol: 'rbd', value: 'pool/image', evidence }, ['network:rbd:pool/image']],
  [{ kind: 'network', protocol: 'rbd', value: 'pool/image@snapshot', evidence }, ['network:rbd:pool/image']],
  [{ kind: 'network', protocol: 'https', value: 'a@b/c', evidence }, ['network:https:a@b/c']],
  [{ kind: 'path', value: '/pool/base.qcow2', evidence }, []],
  [{ kind: 'path', value: 'sub/base.qcow2', evidence }, ['name:base.qcow2']],
  [{ kind: 'path', value: 'base.qcow2', evidence }, ['name:base.qcow2']],
  [{ kind: 'dir', value: '/pool', evidence }, []],
  [{ kind: 'dir', value: 'pool', evidence }, ['name:pool']],
  [{ kind: 'text', value: 'default/base.qcow2', evidence }, []],
];

describe('nameTokens', () => {
  for (const [reference, tokens] of REFERENCES) {
    it(`gives ${tokens.join(', ') || 'no name'} for ${reference.kind} ${JSON.stringify(reference.value)}`, () => {
      expect(nameTokens(reference)).to.deep.equal(tokens);
    });
  }
});

describe('networkTokensOfVolume', () => {
  for (const [poolType, key, path, tokens] of [
    ['rbd', 'rbd/image', 'rbd/image', ['network:rbd:rbd/image', 'network:rbd:rbd/image']],
    ['gluster', 'key', 'gluster://host:24007/volume/dir/image', ['network:gluster:volume/dir/image']],
    ['sheepdog', 'image', 'image', ['network:sheepdog:image', 'network:sheepdog:image']],
    ['iscsi', 'k', '/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.a-lun-3', ['network:iscsi:iqn.a/3']],
    ['iscsi-direct', 'k', 'ip-10.0.0.1:3260-iscsi-iqn.a-lun-0', ['network:iscsi:iqn.a/0']],
    ['iscsi', 'k', '/dev/sdx', []],
    ['dir', '/pool/a', '/pool/a', []],
  ] as const) {
    it(`names a volume of a ${poolType} pool at ${path}`, () => {
      expect(networkTokensOfVolume(poolType, { key, path })).to.deep.equal(tokens);
    });
  }
});
