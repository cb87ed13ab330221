import { expect } from 'chai';
import { writeFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection } from '../../src/libvirt/connection.ts';
import { listDomainDocuments } from '../../src/libvirt/domain.ts';
import { startPrivateLibvirtd, type PrivateLibvirtd } from '../support/private-libvirtd.ts';
import { createQcow2, domainXml } from '../support/qemu.ts';

const MIB = 1024 * 1024;

describe('documents of domains', () => {
  let libvirtd: PrivateLibvirtd;
  let connection: Connection;
  let disks: string;

  beforeEach(async () => {
    libvirtd = await startPrivateLibvirtd();
    connection = await Connection.open(libvirtd.uri);
    disks = await libvirtd.poolDir('disks');
  });

  afterEach(async () => {
    await connection.close();
    await libvirtd.stop();
  });

  it('are live and inactive XML, snapshots, checkpoints and a running backup', async () => {
    const disk = await createDisk('web1.qcow2');
    await define('web1', disk);
    await libvirtd.virsh('start', '--paused', 'web1');
    await libvirtd.virsh('snapshot-create-as', 'web1', 'before', '--disk-only', '--no-metadata');
    await libvirtd.virsh('snapshot-create-as', 'web1', 'after', '--disk-only');
    await libvirtd.virsh('checkpoint-create-as', 'web1', 'monday');
    await libvirtd.virsh('backup-begin', 'web1', await pullBackupXml());
    expect(await documentNames()).to.deep.equal([
      'domain web1, live XML',
      'domain web1, inactive XML',
      'domain web1, snapshot after',
      'domain web1, checkpoint monday',
      'domain web1, running backup XML',
    ]);
    const { domains } = await listDomainDocuments(connection);
    const xml = domains[0]?.documents.map((document) => document.xml) ?? [];
    expect(xml[0]).to.contain(disk).and.to.contain('web1.after');
    expect(xml[4]).to.contain('<domainbackup').and.to.contain('scratch');
  });

  it('include the saved state that is started next', async () => {
    const disk = await createDisk('db1.qcow2');
    await define('db1', disk);
    await libvirtd.virsh('start', '--paused', 'db1');
    await libvirtd.virsh('managedsave', 'db1');
    await define('db1', await createDisk('other.qcow2'));
    expect(await documentNames()).to.deep.equal(['domain db1, inactive XML', 'domain db1, managed save XML']);
    const { domains } = await listDomainDocuments(connection);
    expect(domains[0]?.documents[1]?.xml).to.contain(disk);
  });

  it('that cannot be read leave a blind spot', async () => {
    await define('db1', await createDisk('db1.qcow2'));
    await libvirtd.virsh('start', '--paused', 'db1');
    await libvirtd.virsh('managedsave', 'db1');
    await writeFile(join(libvirtd.root, 'config/libvirt/qemu/save/db1.save'), 'not a saved state');
    const { domains, blindSpots } = await listDomainDocuments(connection);
    expect(domains.map((domain) => domain.documents.map(({ name }) => name))).to.deep.equal([
      ['domain db1, inactive XML'],
    ]);
    expect(blindSpots.map((spot) => ({ ...spot, cause: '' }))).to.deep.equal([
      {
        cause: '',
        what: "domain 'db1': managed save XML",
        remedy: "mend or remove what makes 'virsh managedsave-dumpxml db1' fail",
        concerns: 'everything',
      },
    ]);
    expect(blindSpots[0]?.cause).to.match(/^cannot read domain 'db1', managed save XML: .+/);
  });

  it('are complete for many domains, each once, read over all lanes', async () => {
    const names = Array.from({ length: 150 }, (_, i) => `web${i}`);
    await defineAll(names);
    const { domains, blindSpots } = await listDomainDocuments(connection);
    expect(blindSpots).to.deep.equal([]);
    const found = domains.map((domain) => `${domain.name}: ${domain.documents.length}`);
    expect(found.toSorted()).to.deep.equal(names.map((name) => `${name}: 1`).toSorted());
  });

  it('of domains that vanish meanwhile cause no error, and a blind spot only where one was listed and is lost', async () => {
    const names = Array.from({ length: 150 }, (_, i) => `gone${i}`);
    await defineAll(names);
    await defineAll(['stays']);
    const removal = libvirtd.virsh(names.map((name) => `undefine ${name}`).join('; '));
    const counts = [];
    for (let count = Infinity; count > 1; counts.push(count)) {
      const { domains, blindSpots } = await listDomainDocuments(connection);
      const found = new Set(domains.map((domain) => domain.name));
      for (const { what } of blindSpots) expect(found.has(/'(gone\d+)'/.exec(what)?.[1] ?? 'stays')).to.equal(false);
      expect(found.has('stays')).to.equal(true);
      count = domains.length;
    }
    await removal;
    expect(counts.toSorted((a, b) => b - a)).to.deep.equal(counts);
  });

  async function createDisk(name: string): Promise<string> {
    const path = join(disks, name);
    await rm(path, { force: true });
    await createQcow2(path, { sizeBytes: MIB });
    await libvirtd.give(path);
    return path;
  }

  async function define(name: string, path: string): Promise<void> {
    const file = join(libvirtd.root, `${name}.xml`);
    const uuid = (await libvirtd.virsh('domuuid', name).catch(() => '')).trim();
    const xml = domainXml({ name, disks: [{ path }] });
    await writeFile(file, uuid === '' ? xml : xml.replace('</name>', `</name><uuid>${uuid}</uuid>`));
    await libvirtd.virsh('define', file);
  }

  /** One virsh for all, because starting it takes longer than what it does. */
  async function defineAll(names: readonly string[]): Promise<void> {
    const file = (name: string): string => join(libvirtd.root, `${name}.xml`);
    const write = (name: string): Promise<void> =>
      writeFile(file(name), domainXml({ name, disks: [{ path: `/srv/${name}.img` }] }));
    await Promise.all(names.map(write));
    await libvirtd.virsh(names.map((name) => `define ${file(name)}`).join('; '));
  }

  async function pullBackupXml(): Promise<string> {
    const file = join(libvirtd.root, 'backup.xml');
    const socket = join(libvirtd.root, 'backup.sock');
    const xml = [
      `<domainbackup mode='pull'><server transport='unix' socket='${socket}'/><disks>`,
      `<disk name='vda' type='file'><scratch file='${join(disks, 'scratch.qcow2')}'/></disk></disks></domainbackup>`,
    ];
    await writeFile(file, xml.join(''));
    return file;
  }

  async function documentNames(): Promise<string[]> {
    const { domains, blindSpots } = await listDomainDocuments(connection);
    expect(blindSpots).to.deep.equal([]);
    return domains.flatMap((domain) => domain.documents.map((document) => document.name));
  }
});
