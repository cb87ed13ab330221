import { expect } from 'chai';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../../src/errors.ts';
import { assertOwnMetadata, claimMetadata, type MetadataOwner } from '../../../src/state/metadata-owner.ts';
import { ensurePoolStateDirs, type PoolStatePaths, poolStatePaths } from '../../../src/state/paths.ts';

const [A, B, C] = ['a', 'b', 'c'].map((digit) => `${digit.repeat(8)}-0000-0000-0000-000000000000`) as [
  string,
  string,
  string,
];

describe('the owner of a metadata directory', () => {
  let dir: string;
  const uid = process.geteuid?.() ?? 0;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'pk-owner-'));
    await mkdir(join(dir, 'm'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const owner = (name: string, uuid: string, uri = 'qemu:///system'): MetadataOwner => ({ name, uuid, uri });
  async function pathsOf(pool: MetadataOwner, metadataDir = join(dir, 'm')): Promise<PoolStatePaths> {
    const paths = poolStatePaths({ stateDir: join(dir, 'state'), pool, metadataDir });
    await ensurePoolStateDirs(paths, uid);
    return paths;
  }
  async function claim(pool: MetadataOwner, metadataDir?: string): Promise<unknown> {
    const paths = await pathsOf(pool, metadataDir);
    return claimMetadata(paths, pool, uid).catch((error: unknown) => error);
  }

  it('is one pool, whatever the directory is called', async () => {
    await symlink('m', join(dir, 'link'));
    expect(await claim(owner('first', A))).to.equal(undefined);
    for (const name of ['m', 'm/', 'link', 'state/../m']) {
      const refusal = await claim(owner('second', B), join(dir, name));
      expect(refusal).to.be.instanceOf(UsageError);
      expect((refusal as UsageError).message).to.equal(
        `cannot use metadata directory '${join(dir, name)}' for storage pool 'second': it is that of storage pool 'first' of qemu:///system`,
      );
    }
    expect(await claim(owner('first', A))).to.equal(undefined);
    expect(await claim(owner('second', B), join(dir, 'other'))).to.equal(undefined);
  });

  it('is the same before and after the directory is made', async () => {
    await symlink('m', join(dir, 'link'));
    await claim(owner('first', A), join(dir, 'link/new'));
    await mkdir(join(dir, 'm/new'));
    expect(await claim(owner('second', B), join(dir, 'm/new'))).to.be.instanceOf(UsageError);
    expect(await claim(owner('first', A), join(dir, 'm/new'))).to.equal(undefined);
  });

  it('stays the same when its pool is renamed, or defined anew', async () => {
    await claim(owner('first', A));
    expect(await claim(owner('renamed', A))).to.equal(undefined);
    expect(await claim(owner('renamed', B))).to.equal(undefined);
    expect(await claim(owner('first', A))).to.be.instanceOf(UsageError);
    expect(await claim(owner('renamed', C, 'qemu:///session'))).to.be.instanceOf(UsageError);
  });

  it('is no question for what lies below the state of a pool, and leaves no file beside the metadata', async () => {
    const pool = owner('first', A);
    const paths = poolStatePaths({ stateDir: join(dir, 'state'), pool });
    await ensurePoolStateDirs(paths, uid);
    await claimMetadata(paths, pool, uid);
    expect(await readdir(join(dir, 'state'))).to.deep.equal(['pools']);
    await claim(pool);
    expect(await readdir(join(dir, 'm'))).to.deep.equal([]);
    await assertOwnMetadata(await pathsOf(pool), pool);
  });
});
