import { expect } from 'chai';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { daemonUnits } from '../../../src/libvirt/daemons.ts';
import { hintFor, VIR_ERR } from '../../../src/libvirt/error-codes.ts';

/** VIR_FROM_RPC and VIR_FROM_STORAGE of virErrorDomain. */
const [RPC, STORAGE] = [7, 18];

describe('daemonUnits', () => {
  let run: string;
  let programs: string;

  beforeEach(async () => {
    run = await mkdtemp(join(tmpdir(), 'pk-run-'));
    programs = await mkdtemp(join(tmpdir(), 'pk-sbin-'));
  });
  afterEach(() => Promise.all([run, programs].map((dir) => rm(dir, { recursive: true }))));

  const socket = (name: string): Promise<void> => writeFile(join(run, name), '');
  const program = (name: string): Promise<void> => writeFile(join(programs, name), '');

  it('names libvirtd where its socket is, and where nothing is known', async () => {
    expect(daemonUnits(run, programs)).to.equal('libvirtd.socket');
    await program('virtqemud');
    await program('libvirtd');
    expect(daemonUnits(run, programs)).to.equal('libvirtd.socket');
    await socket('libvirt-sock');
    await socket('virtqemud-sock');
    expect(daemonUnits(run, programs)).to.equal('libvirtd.socket');
  });

  it('names the daemons of the drivers, those without a socket first of all', async () => {
    await program('virtqemud');
    expect(daemonUnits(run, programs)).to.equal('virtqemud.socket virtstoraged.socket');
    await socket('virtqemud-sock');
    expect(daemonUnits(run, programs)).to.equal('virtstoraged.socket');
    await socket('virtstoraged-sock');
    expect(daemonUnits(run, programs)).to.equal('virtqemud.socket virtstoraged.socket');
  });
});

describe('hintFor', () => {
  it('tells a daemon that does not run from one that may not be used', () => {
    expect(hintFor(VIR_ERR.systemError, RPC, 2)).to.match(/systemctl start \S+\.socket/);
    expect(hintFor(VIR_ERR.systemError, RPC, 111)).to.match(/systemctl start \S+\.socket/);
    expect(hintFor(VIR_ERR.systemError, RPC, 13)).to.contain('group libvirt');
    expect(hintFor(VIR_ERR.rpc, RPC)).to.match(/systemctl start \S+\.socket/);
    expect(hintFor(VIR_ERR.systemError, STORAGE, 13)).to.equal(undefined);
  });
});
