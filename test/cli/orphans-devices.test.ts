import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { runProgram } from '../support/world.ts';

describe('orphans in pools that are no directories', () => {
  let root: string;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'pk-orphans-'));
  });
  after(() => rm(root, { recursive: true }));

  it('only lists what it finds in pools of devices, and keeps what that stands on', async () => {
    const node = join(root, 'node.xml');
    const volume = (name: string, backing = ''): string =>
      `<volume type='block'><name>${name}</name><capacity>1024</capacity><allocation>1024</allocation>${backing}</volume>`;
    const backing = '<backingStore><path>/srv/images/base</path></backingStore>';
    await writeFile(
      node,
      `<node><pool type='logical'><name>vg</name><uuid>33333333-3333-4333-8333-333333333333</uuid>
        <source><name>vg</name></source><target><path>/dev/vg</path></target>${volume('lv', backing)}</pool>
      <pool type='dir'><name>images</name><uuid>44444444-4444-4444-8444-444444444444</uuid>
        <target><path>/srv/images</path></target>${volume('base')}${volume('used')}${volume('more')}</pool>
      <domain type='test'><name>d</name><memory>1</memory><os><type>hvm</type></os><devices>
        <disk type='file'><source file='/srv/images/used'/><target dev='vda'/></disk>
        <disk type='file'><source file='/srv/images/more'/><target dev='vdb'/></disk></devices></domain></node>`,
    );
    const args = ['--connect', `test://${node}`, '--state-dir', join(root, 'state'), '--all-pools', '--min-age', '0'];
    const run = await runProgram(['orphans', ...args, '--delete', '--yes'], root);
    // These pools are made up, so that their files are not proven to be of this host.
    expect(run.status).to.equal(13);
    expect(run.stderr).to.contain("storage pool 'images'").and.contain('there is none here');
    expect(run.stdout).to.match(/vg .*lv {2}\(1 KiB\) .*never deleted: its pool is of type 'logical'\n/);
    const why = await runProgram(['why', 'base', ...args.slice(0, 4)], root);
    expect(why.stdout).to.contain('needed through 1 reference').and.contain('vg/lv');
  });
});
