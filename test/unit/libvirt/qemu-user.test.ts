import { expect } from 'chai';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isOwnershipDynamic, parseDynamicOwnership, parseQemuUser } from '../../../src/libvirt/qemu-user.ts';

function capabilities(...models: readonly string[]): string {
  return `<capabilities><host><cpu><arch>x86_64</arch></cpu>${models.join('')}</host><guest/></capabilities>`;
}

const NONE = '<secmodel><model>none</model><doi>0</doi></secmodel>';
const DAC =
  "<secmodel><model>dac</model><doi>0</doi><baselabel type='kvm'>+64055:+108</baselabel><baselabel type='qemu'>+64055:+108</baselabel></secmodel>";
const APPARMOR = "<secmodel><model>apparmor</model><doi>0</doi><baselabel type='kvm'>+1:+2</baselabel></secmodel>";

describe('parseQemuUser', () => {
  it('reads user and group of QEMU, whatever other models there are', () => {
    for (const xml of [capabilities(DAC), capabilities(NONE, DAC), capabilities(APPARMOR, DAC)])
      expect(parseQemuUser(xml)).to.deep.equal({ uid: 64_055, gid: 108 });
  });

  it('says so where QEMU has no user of its own, or none that it understands', () => {
    const named = "<secmodel><model>dac</model><baselabel type='kvm'>qemu:kvm</baselabel></secmodel>";
    const unlabelled = '<secmodel><model>dac</model></secmodel>';
    for (const xml of [
      capabilities(),
      capabilities(NONE),
      capabilities(APPARMOR),
      capabilities(named),
      capabilities(unlabelled),
    ])
      expect(parseQemuUser(xml)).to.equal(undefined);
  });
});

describe('parseDynamicOwnership', () => {
  for (const [text, expected] of [
    ['', true],
    ['dynamic_ownership = 0\n', false],
    ['dynamic_ownership=0', false],
    ['  dynamic_ownership\t= 0 # why', false],
    ['user = "root"\ndynamic_ownership = 0\ndynamic_ownership = 1\n', false],
    ['dynamic_ownership = 1\n', true],
    ['#dynamic_ownership = 0\n', true],
    ['# dynamic_ownership = 0\n', true],
    ['my_dynamic_ownership = 0\n', true],
  ] as const) {
    it(`takes ${JSON.stringify(text)} for ${expected ? 'on' : 'off'}`, () => {
      expect(parseDynamicOwnership(text)).to.equal(expected);
    });
  }
});

describe('isOwnershipDynamic', () => {
  let dir: string;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'pk-qemu-conf-'));
  });
  after(() => rm(dir, { recursive: true }));

  it('reads the file, takes a missing one for on, and does not guess about one that cannot be read', async () => {
    const path = join(dir, 'qemu.conf');
    expect(await isOwnershipDynamic(path)).to.equal(true);
    await writeFile(path, 'dynamic_ownership = 0\n');
    expect(await isOwnershipDynamic(path)).to.equal(false);
    await mkdir(join(dir, 'folder'));
    expect(await isOwnershipDynamic(join(dir, 'folder'))).to.equal(undefined);
  });
});
