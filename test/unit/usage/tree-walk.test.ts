import { expect } from 'chai';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { walkTree } from '../../../src/usage/tree-walk.ts';
import { readMounts } from '../../../src/util/mounts.ts';

describe('walkTree', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'pk-tree-'));
    mkdirSync(join(root, 'pool/sub/deep'), { recursive: true });
    mkdirSync(join(root, 'other/in'), { recursive: true });
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const walk = async (maxEntries = 100) => {
    const pool = Buffer.from(join(root, 'pool'));
    const tree = await walkTree(pool, [Buffer.from(join(root, 'pool/sub'))], { table: readMounts(), maxEntries });
    const files = tree.files.map((path) => path.toString().slice(root.length + 6)).sort();
    return { files, isCut: tree.isCut, unreadable: tree.unreadable.map(({ path }) => path.toString()) };
  };

  it('finds images below folders and links, and leaves out what is plain', async () => {
    writeFileSync(join(root, 'pool/sub/top.qcow2'), 'QFI\xfb\0\0\0\x03', 'latin1');
    writeFileSync(join(root, 'pool/sub/deep/text.vmdk'), '# Disk DescriptorFile\n');
    writeFileSync(join(root, 'pool/sub/plain'), 'plain');
    writeFileSync(join(root, 'pool/sub/two'), 'names');
    linkSync(join(root, 'pool/sub/two'), join(root, 'other/second'));
    symlinkSync('plain', join(root, 'pool/sub/link'));
    symlinkSync('nowhere', join(root, 'pool/sub/dangling'));
    symlinkSync(join(root, 'other'), join(root, 'pool/sub/other'));
    writeFileSync(join(root, 'other/in/far.qcow2'), 'QFI\xfb\0\0\0\x03', 'latin1');
    writeFileSync(join(root, 'other/in/plain'), '');
    expect(await walk()).to.deep.equal({
      files: [
        'sub/dangling',
        'sub/deep/text.vmdk',
        'sub/link',
        'sub/other/in/far.qcow2',
        'sub/other/second',
        'sub/top.qcow2',
        'sub/two',
      ],
      isCut: false,
      unreadable: [],
    });
  });

  it('ends where links go round or lead into the kernel, and tells what it cannot read', async () => {
    symlinkSync('../..', join(root, 'pool/sub/deep/up'));
    symlinkSync(root, join(root, 'pool/sub/root'));
    symlinkSync('/proc', join(root, 'pool/sub/proc'));
    symlinkSync('/sys', join(root, 'pool/sub/sys'));
    symlinkSync('self', join(root, 'pool/sub/self'));
    expect((await walk()).files).to.deep.equal(['sub/self']);
  });

  it('looks at no more entries than it may', async () => {
    for (let index = 0; index < 9; index += 1) writeFileSync(join(root, `pool/sub/deep/${index}`), '');
    expect([(await walk(10)).isCut, (await walk(9)).isCut]).to.deep.equal([false, true]);
  });

  it('keeps names that are not UTF-8 as they are', async () => {
    const folder = Buffer.concat([Buffer.from(join(root, 'pool/sub/')), Buffer.from([0xe9])]);
    mkdirSync(folder);
    writeFileSync(Buffer.concat([folder, Buffer.from('/top')]), 'QFI\xfb\0\0\0\x03', 'latin1');
    const tree = await walkTree(Buffer.from(join(root, 'pool')), [Buffer.from(join(root, 'pool/sub'))], {
      table: undefined,
      maxEntries: 100,
    });
    expect(tree.files.map((path) => path.toString('latin1').slice(-6))).to.deep.equal(['/\xe9/top'.slice(-6)]);
  });
});
