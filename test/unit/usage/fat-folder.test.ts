import { expect } from 'chai';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFatFolder } from '../../../src/usage/fat-folder.ts';
import { type Mount, mountTable, readMounts } from '../../../src/util/mounts.ts';

describe('readFatFolder', () => {
  let root: string;
  let fat: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'pk-fat-'));
    fat = join(root, 'fat');
    mkdirSync(join(fat, 'sub'), { recursive: true });
    mkdirSync(join(root, 'other'));
    for (const name of ['fat/plain', 'fat/sub/plain', 'other/file', 'other/two']) writeFileSync(join(root, name), '');
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('finds what leads out of the folder, and nothing else', () => {
    symlinkSync('../../other/file', join(fat, 'sub/link'));
    symlinkSync('../other', join(fat, 'dir'));
    symlinkSync('nowhere', join(fat, 'gone'));
    symlinkSync('..', join(fat, 'sub/up'));
    linkSync(join(root, 'other/two'), join(fat, 'second'));
    const found = readFatFolder(fat, readMounts());
    expect({ ...found, files: [...found.files].sort(), folders: [...found.folders].sort() }).to.deep.equal({
      files: [join(root, 'other/file'), join(fat, 'second'), join(root, 'other/two')].sort(),
      folders: [fat, join(root, 'other')],
      names: [join(fat, 'nowhere')],
      unseen: undefined,
    });
    expect(readFatFolder(join(fat, 'sub/none'), readMounts()).unseen).to.equal(undefined);
  });

  it('looks at no link that leads to what may not answer', () => {
    symlinkSync(join(root, 'far/x'), join(fat, 'link'));
    const base: Mount = {
      id: 1,
      parent: 0,
      device: '8:1',
      root: '/',
      point: '/',
      pointOptions: [],
      type: 'ext4',
      source: '/dev/x',
      options: [],
    };
    const far: Mount = { ...base, id: 2, parent: 1, point: join(root, 'far'), type: 'nfs4' };
    expect(readFatFolder(fat, mountTable([base, far])).names).to.deep.equal([join(root, 'far/x')]);
  });

  it('says when there is more than it looks at, or a name that it cannot follow [D11]', () => {
    const table = readMounts();
    expect(readFatFolder(fat, table, 3).unseen).to.equal(undefined);
    expect(readFatFolder(fat, table, 2).unseen).to.equal('it holds more than 2 files');
    mkdirSync(Buffer.concat([Buffer.from(`${fat}/`), Buffer.from([0xe9])]));
    expect(readFatFolder(fat, table).unseen).to.equal(`a name in '${fat}' is not UTF-8`);
  });
});
