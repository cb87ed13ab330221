import { expect } from 'chai';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localFiles } from '../../../src/gather/file-identity.ts';
import { leadsTo } from '../../../src/usage/leads-to.ts';
import { hasVanished } from '../../../src/gather/unseen.ts';

describe('a file that was listed and cannot be opened', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pk-unseen-'));
    await mkdir(join(folder, 'a'));
    await writeFile(join(folder, 'a/top.qcow2'), '');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('has vanished when its name is missing from the folder that it was seen in [D1]', async () => {
    const tokens = localFiles().identify(join(folder, 'a/top.qcow2')).above;
    expect(hasVanished(join(folder, 'a/top.qcow2'), tokens)).to.equal(false);
    await rm(join(folder, 'a/top.qcow2'));
    expect(hasVanished(join(folder, 'a/top.qcow2'), tokens)).to.equal(true);
  });

  it('has not when another folder is there now, whatever lies in it [D1]', async () => {
    const tokens = localFiles().identify(join(folder, 'a/top.qcow2')).above;
    await rename(join(folder, 'a'), join(folder, 'away'));
    expect(hasVanished(join(folder, 'a/top.qcow2'), tokens)).to.equal(false);
    await mkdir(join(folder, 'a'));
    await writeFile(join(folder, 'a/other.qcow2'), '');
    expect(hasVanished(join(folder, 'a/top.qcow2'), tokens)).to.equal(false);
  });
});

describe('a path that leads to nothing', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pk-leads-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is followed through links to files and folders, as far as there is something', async () => {
    await mkdir(join(folder, 'real'));
    await symlink('real', join(folder, 'folder'));
    await symlink('../gone/image', join(folder, 'real/link'));
    expect(leadsTo(join(folder, 'folder//./link'))).to.equal(join(folder, 'gone/image'));
    await symlink('/nowhere-at-all', join(folder, 'gone'));
    expect(leadsTo(join(folder, 'folder/link'))).to.equal('/nowhere-at-all/image');
  });

  it('stays as it is where links go in a circle', async () => {
    await symlink('b', join(folder, 'a'));
    await symlink('a', join(folder, 'b'));
    expect(leadsTo(join(folder, 'a'))).to.equal(join(folder, 'a'));
  });
});
