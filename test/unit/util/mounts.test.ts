import { expect } from 'chai';
import { lstatSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  deviceNumber,
  isDistant,
  type Mount,
  mountTable,
  parseMounts,
  readMounts,
  resolveLocally,
} from '../../../src/util/mounts.ts';

const mount = (id: number, parent: number, point: string, type = 'ext4'): Mount => ({
  id,
  parent,
  device: `8:${id}`,
  root: '/',
  point,
  pointOptions: [],
  type,
  source: '/dev/x',
  options: ['rw'],
});

describe('mounts', () => {
  it('reads lines of mountinfo with escapes, bind mounts and optional fields', () => {
    const text = [
      '36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue',
      '37 35 0:42 / /a\\040b\\134c\\303\\251 rw - overlay overlay rw,lowerdir=/l\\0541:/l2',
      'nonsense',
      '',
    ].join('\n');
    expect(parseMounts(text)).to.deep.equal([
      {
        id: 36,
        parent: 35,
        device: '98:0',
        root: '/mnt1',
        point: '/mnt2',
        pointOptions: ['rw', 'noatime'],
        type: 'ext3',
        source: '/dev/root',
        options: ['rw', 'errors=continue'],
      },
      {
        id: 37,
        parent: 35,
        device: '0:42',
        root: '/',
        point: '/a b\\cé',
        pointOptions: ['rw'],
        type: 'overlay',
        source: 'overlay',
        options: ['rw', 'lowerdir=/l,1:/l2'],
      },
    ]);
  });

  it('finds the mount of a path, and none that another one hides', () => {
    const { of } = mountTable([
      mount(1, 0, '/'),
      mount(2, 1, '/a'),
      mount(3, 2, '/a/b'),
      mount(4, 1, '/c'),
      mount(5, 4, '/c/d'),
      // Over /c, and so over what is mounted in it.
      mount(6, 4, '/c'),
    ]);
    const ids = ['/', '/x', '/a', '/ab', '/a/b', '/a/b/c', '/c', '/c/d', '/c/d/e'].map((path) => of(path)?.id);
    expect(ids).to.deep.equal([1, 1, 2, 1, 3, 3, 6, 6, 6]);
  });

  it('knows the mounts of this host', () => {
    const table = readMounts();
    expect(table.of('/proc/self')?.type).to.equal('proc');
    const { dev } = statSync('/proc', { bigint: true });
    expect(deviceNumber(table.of('/proc')?.device ?? '')).to.equal(dev);
  });

  it('turns major and minor numbers into what stat shows', () => {
    expect([deviceNumber('8:1'), deviceNumber('0:256'), deviceNumber('259:1048575')]).to.deep.equal([
      0x801n,
      0x10_0000n,
      0xfff1_03ffn,
    ]);
    expect(deviceNumber('x')).to.equal(undefined);
  });

  it('tells file systems that may not answer', () => {
    const types = ['ext4', 'tmpfs', 'nfs4', 'fuse.sshfs', 'fuse', 'autofs', 'fusectl'];
    expect(types.filter((type) => isDistant({ type }))).to.deep.equal(['nfs4', 'fuse.sshfs', 'fuse', 'autofs']);
  });

  describe('a path that is resolved without waiting', () => {
    let dir: string;
    before(() => {
      dir = mkdtempSync(join(tmpdir(), 'pk-mounts-'));
      writeFileSync(join(dir, 'file'), '');
      symlinkSync('file', join(dir, 'link'));
      symlinkSync(join(dir, 'link'), join(dir, 'twice'));
      symlinkSync('loop', join(dir, 'loop'));
      symlinkSync('far/x', join(dir, 'away'));
    });
    after(() => rmSync(dir, { recursive: true }));

    it('follows links, and stops at what may not answer', () => {
      expect(lstatSync(dir).isDirectory()).to.equal(true);
      const table = mountTable([mount(1, 0, '/'), mount(2, 1, join(dir, 'far'), 'nfs')]);
      const look = (name: string) => resolveLocally(`${dir}/${name}`, table);
      expect(look('twice')).to.deep.equal({ is: 'here', path: join(dir, 'file') });
      expect(look('./x/../link')).to.deep.equal({ is: 'missing' });
      expect(look('none')).to.deep.equal({ is: 'missing' });
      expect(look('file/x')).to.deep.equal({ is: 'missing' });
      expect(look('loop')).to.deep.equal({ is: 'closed', code: 'ELOOP' });
      expect(look('away').is).to.equal('distant');
      expect(look('far').is).to.equal('distant');
    });
  });
});
