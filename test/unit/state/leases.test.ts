import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { Lease } from '../../../src/core/lease.ts';
import { FailureError, IntegrityError } from '../../../src/errors.ts';
import { leasePath, readLeases, removeLease, writeLease } from '../../../src/state/leases.ts';
import { rejection, temporaryDir } from './support.ts';

const HOUR = 3_600_000;
const MOMENT = { host: 'kvm1', bootId: 'b007', uptime: 2 * HOUR, now: 500 * HOUR };
const LEASE: Lease = {
  id: '3f2a9c01',
  volumeName: 'web "1".qcow2',
  command: 'virt-install …',
  pid: 123,
  processStart: 4567,
  host: 'kvm1',
  bootId: 'b007',
  createdAt: 500 * HOUR,
  expiresAt: 501 * HOUR,
  createdAtUptime: 2 * HOUR,
};

describe('leases', () => {
  const at = temporaryDir();

  it('are read as they were written', async () => {
    await writeLease(at(), LEASE, MOMENT);
    expect(await readLeases(at())).to.deep.equal({ leases: [LEASE], damaged: [] });
    const text = await readFile(leasePath(at(), LEASE.id), 'utf8');
    expect(JSON.parse(text)).to.deep.equal({ formatVersion: 1, ...LEASE });
  });

  it('are none where there is no directory', async () => {
    expect(await readLeases(at('nothing'))).to.deep.equal({ leases: [], damaged: [] });
  });

  it('are removed by the next writer once they have ended, damaged ones never', async () => {
    await writeLease(at(), { ...LEASE, id: '00000001', createdAtUptime: HOUR }, { ...MOMENT, uptime: HOUR });
    await writeLease(at(), { ...LEASE, id: '00000002', createdAtUptime: 0 }, { ...MOMENT, uptime: 0 });
    await writeFile(at('00000003.json'), '');
    await writeLease(at(), LEASE, MOMENT);
    expect(await readdir(at())).to.have.members(['00000003.json', '3f2a9c01.json']);
  });

  it('can be ended twice', async () => {
    await writeLease(at(), LEASE, MOMENT);
    for (let time = 0; time < 2; time += 1) await removeLease(at(), LEASE.id);
    expect(await readdir(at())).to.deep.equal([]);
  });

  it('are not ended by what is no id', async () => {
    expect(await rejection(removeLease(at('leases'), '../records/x'))).to.be.instanceOf(FailureError);
  });

  for (const [title, change, volumeName] of [
    ['for longer than a day', { expiresAt: LEASE.createdAt + 25 * HOUR }, LEASE.volumeName],
    ['for no time', { expiresAt: LEASE.createdAt }, LEASE.volumeName],
    ['of another id than its name', { id: '3f2a9c02' }, LEASE.volumeName],
    ['without a process', { pid: undefined }, LEASE.volumeName],
    ['of a newer format', { formatVersion: 2 }, LEASE.volumeName],
    ['without a volume', { volumeName: undefined }, undefined],
    ['with a volume that is no text', { volumeName: 7 }, undefined],
  ] as const) {
    it(`are damaged when one is ${title}, and still about their volume`, async () => {
      await writeFile(at('3f2a9c01.json'), JSON.stringify({ formatVersion: 1, ...LEASE, ...change }));
      const { leases, damaged } = await readLeases(at());
      expect(leases).to.deep.equal([]);
      expect(damaged.map((each) => [each.path, each.volumeName])).to.deep.equal([[at('3f2a9c01.json'), volumeName]]);
    });
  }

  it('tell their volume even when they are cut off behind it', async () => {
    const text = JSON.stringify({ formatVersion: 1, ...LEASE });
    await writeFile(at('3f2a9c01.json'), text.slice(0, text.indexOf('"command"')));
    const [damaged] = (await readLeases(at())).damaged;
    expect(damaged?.volumeName).to.equal(LEASE.volumeName);
    expect(damaged?.error).to.be.instanceOf(IntegrityError);
  });

  it('are damaged when they are no files, or too large', async () => {
    await mkdir(at('00000001.json'));
    await symlink('/etc/passwd', at('00000002.json'));
    await writeFile(at('00000003.json'), ' '.repeat(100_000));
    await writeFile(at('notes.txt'), 'not a lease');
    const { leases, damaged } = await readLeases(at());
    expect([leases, damaged.map(({ volumeName }) => volumeName)]).to.deep.equal([
      [],
      [undefined, undefined, undefined],
    ]);
  });
});
