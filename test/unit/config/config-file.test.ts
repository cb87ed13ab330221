import { expect } from 'chai';
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findConfigFile, readConfigFile } from '../../../src/config/config-file.ts';
import { IntegrityError, UsageError } from '../../../src/errors.ts';

describe('the configuration file', () => {
  let dir: string;
  const uid = process.geteuid?.() ?? 0;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'pk-config-'));
  });
  after(() => rm(dir, { recursive: true }));

  it('is the one that is named, then that of the environment', () => {
    const place = { env: { POOLKEEPER_CONFIG: '/env.yaml' }, cwd: '/here', uid: 0 };
    expect(findConfigFile({ ...place, named: 'a.yaml' })).to.equal('/here/a.yaml');
    expect(findConfigFile({ ...place, named: undefined })).to.equal('/env.yaml');
    expect(findConfigFile({ ...place, named: '/dev/null' })).to.equal(undefined);
  });

  it("is the user's own for others than root, where there is one", async () => {
    const path = join(dir, 'poolkeeper/config.yaml');
    const find = (user: number) =>
      findConfigFile({ named: undefined, env: { XDG_CONFIG_HOME: dir }, cwd: '/', uid: user });
    expect(find(1000)).to.not.equal(path);
    await mkdir(join(dir, 'poolkeeper'));
    await writeFile(path, '');
    expect(find(1000)).to.equal(path);
    expect(find(0)).to.not.equal(path);
  });

  it('is read through a symbolic link, without a byte order mark', async () => {
    await writeFile(join(dir, 'real'), '\uFEFFpool: a\n');
    await symlink('real', join(dir, 'link'));
    expect(readConfigFile(join(dir, 'link'), uid)).to.equal('pool: a\n');
  });

  it('is refused when it is not there, is no file, or every user may write to it', async () => {
    expect(() => readConfigFile(join(dir, 'none'), uid)).to.throw(UsageError, `'${dir}/none' does not exist`);
    expect(() => readConfigFile(dir, uid)).to.throw(UsageError, 'is not a file');
    const path = join(dir, 'open');
    await writeFile(path, '');
    await chmod(path, 0o666);
    expect(() => readConfigFile(path, uid)).to.throw(IntegrityError, 'every user may write to it');
    await chmod(path, 0o644);
    // Root is trusted by everybody, so a file of root is given away.
    if (uid === 0) await chown(path, 4242, -1);
    expect(() => readConfigFile(path, uid === 0 ? 0 : uid + 1)).to.throw(IntegrityError, 'it belongs to another user');
  });
});
