import { expect } from 'chai';
import { absenceKey, absentText, parseAbsentName } from '../../../src/core/absent-name.ts';
import type { Edge } from '../../../src/core/use-graph.ts';
import { absenceSpot, isUnlike, judgeAbsence, mayStandOnOthers } from '../../../src/usage/absence.ts';
import { pathPlaceOf, readMountFacts } from '../../../src/usage/mount-facts.ts';
import { RawReferences } from '../../../src/usage/raw-references.ts';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NAME = { kind: 'path', path: '/mnt/a b.qcow2' } as const;

describe('judgeAbsence', () => {
  const judge = (...formats: readonly (readonly string[] | undefined)[]): string =>
    judgeAbsence({ name: NAME, edges: formats.map(edgeOf), answer: undefined });

  it('asks about what may stand on others in any of the formats that are stated [D4]', () => {
    for (const format of ['qcow2', 'qcow', 'qed', 'vmdk', 'vpc', 'vhdx', 'parallels', 'auto', 'a-format-of-tomorrow'])
      expect(judge(['raw'], undefined, [format]), format).to.equal('unanswered');
  });

  it('asks nothing about raw images, images of no stated format, and what is no image, which goes [D5 twin]', () => {
    expect(judge(['raw'], [''])).to.equal('bytes');
    expect(judge(undefined, undefined)).to.equal('no image');
  });

  it('takes the word of an administrator, and nothing else that can be seen now [D1]', () => {
    const edges = [edgeOf(['qcow2'])];
    expect(judgeAbsence({ name: NAME, edges, answer: { by: 'forgotten' } })).to.equal('gone');
    expect(judgeAbsence({ name: NAME, edges, answer: undefined })).to.equal('unanswered');
  });

  it('concerns everything, and names first whoever may need a chain', () => {
    const edges = [edgeOf(undefined), { ...edgeOf(['qcow2']), document: 'domain web1, inactive XML' }];
    const spot = absenceSpot({ name: NAME, edges, cause: 'nothing is there', verdict: 'unanswered' }, undefined);
    expect(spot).to.include({ kind: 'absent', concerns: 'everything', what: 'image /mnt/a b.qcow2' });
    expect(spot.cause).to.equal('nothing is there; domain web1, inactive XML names it at /x, and 1 more');
    expect(spot.remedy).to.match(/poolkeeper forget '\/mnt\/a b\.qcow2'$/);
  });
});

describe('isUnlike', () => {
  it('sees that an image of a format with a magic cannot be what is there without one', () => {
    const plain = { hasMagic: false, isEmpty: false };
    expect(['qcow2', 'vmdk', 'qed'].map((format) => isUnlike(edgeOf([format]), plain))).to.deep.equal([
      true,
      true,
      true,
    ]);
    // A VHD of fixed size has its mark at the end; what QEMU probes, or opens raw, may be anything.
    expect(['vpc', 'auto', 'raw', ''].map((format) => isUnlike(edgeOf([format]), plain))).to.deep.equal([
      false,
      false,
      false,
      false,
    ]);
    expect(isUnlike(edgeOf(['vpc']), { ...plain, isEmpty: true })).to.equal(true);
    expect(isUnlike(edgeOf(['qcow2']), { ...plain, hasMagic: true })).to.equal(false);
  });

  it('agrees with what may stand on others', () => {
    for (const format of ['raw', '', 'iso', 'luks', 'fat']) expect(mayStandOnOthers(format), format).to.equal(false);
  });
});

describe('the name of something absent', () => {
  it('is read as it is written', () => {
    for (const text of ['/mnt/a b', 'pool/a:b/c', 'nbd:x', 'rbd:pool/image']) {
      const name = parseAbsentName(text) ?? expect.fail(text);
      expect(absentText(name)).to.equal(text);
      expect(absenceKey(name)).to.include(text);
    }
    expect(['', 'relative', 'x\0/y', 'nbd:'].map(parseAbsentName)).to.deep.equal([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('RawReferences', () => {
  const node = {
    id: 'n',
    label: 'n',
    tokens: ['path:/a', 'inode:1:2', 'name:a'],
    paths: [],
    isDirectory: false,
    edges: [],
  };

  it('knows what is named, and by nobody but as raw bytes [D10]', () => {
    const raw = new RawReferences();
    expect(raw.isOnlyRaw(node)).to.equal(false);
    raw.note([{ ...edgeOf(['raw']), isRaw: true, tokens: ['path:/a'] }]);
    expect(raw.isOnlyRaw(node)).to.equal(true);
    raw.note([{ ...edgeOf(['qcow2']), tokens: ['inode:1:2'] }]);
    expect(raw.isOnlyRaw(node)).to.equal(false);
  });

  it('takes a relative name for any file that is called so', () => {
    const raw = new RawReferences();
    raw.note([
      { ...edgeOf(['raw']), isRaw: true, tokens: ['path:/a'] },
      { ...edgeOf(undefined), tokens: ['name:a'] },
    ]);
    expect(raw.isOnlyRaw(node)).to.equal(false);
  });
});

describe('readMountFacts', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'pk-mounts-'));
    await mkdir(join(root, 'units'));
  });
  afterEach(() => rm(root, { recursive: true }));

  it('knows what is mounted, what is to be, and by whom [D7]', async () => {
    const files = {
      mountinfo: join(root, 'mountinfo'),
      fstab: join(root, 'fstab'),
      unitDirs: [join(root, 'units'), '/nowhere'],
    };
    await writeFile(
      files.mountinfo,
      [
        '1 0 8:1 / / rw - ext4 /dev/sda1 rw',
        '2 1 8:2 / /pk-srv rw shared:1 - xfs /dev/sdb1 rw',
        '3 1 0:5 / /pk-net rw - autofs /etc/auto.net rw',
        String.raw`4 1 0:6 / /pk-a\040b rw - tmpfs none rw`,
      ].join('\n'),
    );
    await writeFile(
      files.fstab,
      [
        '# x /pk-comment ext4',
        'UUID=1 / ext4',
        'UUID=2 /pk-srv xfs',
        'UUID=3 /pk-vms/ ext4 nofail',
        String.raw`UUID=4 /pk-à\040b ext4`,
        'sw none swap',
      ].join('\n'),
    );
    await writeFile(join(root, 'units/pk-data.mount'), '[Mount]\nWhat=/dev/sdc\nWhere=/pk-data\n');
    const facts = readMountFacts(files);
    const awaited = (path: string) => pathPlaceOf(path, facts).awaited;
    expect(pathPlaceOf('/pk-srv/x/y', facts).mounted).to.include({ type: 'xfs', source: '/dev/sdb1' });
    expect(awaited('/pk-srv/x/y')).to.equal(undefined);
    expect(awaited('/pk-vms/x')).to.deep.equal({ point: '/pk-vms', by: files.fstab });
    expect(awaited('/pk-vmsx/x')).to.equal(undefined);
    expect(awaited('/pk-à b/x')?.point).to.equal('/pk-à b');
    expect(awaited('/pk-data/x/y')?.by).to.equal(join(root, 'units/pk-data.mount'));
    expect(awaited('/pk-net/host/x')).to.deep.equal({ point: '/pk-net', by: 'autofs' });
    expect(awaited('/pk-comment/x')).to.equal(undefined);
    expect(pathPlaceOf('/pk-a b/x', facts).mounted?.type).to.equal('tmpfs');
  });
});

function edgeOf(formats: readonly string[] | undefined): Edge {
  const reference = { kind: 'path', value: '/mnt/a b.qcow2', evidence: '/x' } as const;
  return { reference, document: 'd', tokens: [], ...(formats && { formats }) };
}
