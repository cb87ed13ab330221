import { stat, symlink } from 'node:fs/promises';
import { expect } from 'chai';
import { FailureError, IntegrityError, UsageError } from '../../../src/errors.ts';
import { defaultCacheDir, defaultStateDir, ensurePoolStateDirs, poolStatePaths } from '../../../src/state/paths.ts';
import { rejection, temporaryDir, UID } from './support.ts';

const uuid = '6b53ea3d-3ec6-40f3-86d7-b7fdfea1dda2';
const root = `/var/lib/poolkeeper/pools/${uuid}`;
const paths = {
  root,
  records: `${root}/records`,
  journal: `${root}/journal`,
  lock: `${root}/lock`,
  gate: `${root}/gate`,
  metadata: `${root}/metadata`,
  leases: `${root}/leases`,
  tasks: `${root}/tasks`,
  sources: `${root}/sources`,
  trash: `${root}/trash`,
};
const stateDir = '/var/lib/poolkeeper';

describe('poolStatePaths', () => {
  it('keeps everything about a pool below its UUID', () => {
    expect(poolStatePaths({ stateDir, pool: { name: 'default', uuid } })).to.deep.equal(paths);
    expect(poolStatePaths({ stateDir, pool: { name: 'default', uuid: uuid.toUpperCase() } })).to.deep.equal(paths);
  });

  it("shares uvtool's metadata directory for the pool uvtool only", () => {
    const pool = { name: 'uvtool', uuid };
    const metadata = '/var/lib/uvtool/libvirt/metadata';
    expect(poolStatePaths({ stateDir, pool })).to.deep.equal({ ...paths, metadata });
    expect(poolStatePaths({ stateDir, pool, uvtoolMetadataDir: '/m' })).to.deep.equal({ ...paths, metadata: '/m' });
  });

  it('lets a metadata directory that was asked for win', () => {
    for (const name of ['uvtool', 'default']) {
      const options = { stateDir, pool: { name, uuid }, metadataDir: '/asked', uvtoolMetadataDir: '/m' };
      expect(poolStatePaths(options)).to.deep.equal({ ...paths, metadata: '/asked' });
    }
  });

  it('refuses a UUID that would lead elsewhere', () => {
    for (const bad of ['', '..', '../../etc', `${uuid}/..`, `${uuid}\n`]) {
      expect(() => poolStatePaths({ stateDir, pool: { name: 'default', uuid: bad } })).to.throw(FailureError);
    }
  });
});

describe('ensurePoolStateDirs', () => {
  const at = temporaryDir();

  it('makes every directory but that of the metadata, closed to others, and again without complaint', async () => {
    const pool = poolStatePaths({
      stateDir: at('state'),
      pool: { name: 'default', uuid },
      metadataDir: at('metadata'),
    });
    await ensurePoolStateDirs(pool, UID);
    await ensurePoolStateDirs(pool, UID);
    for (const dir of [at('state'), pool.root, pool.records, pool.leases, pool.tasks, pool.sources]) {
      expect((await stat(dir)).mode & 0o027, dir).to.equal(0);
    }
    expect(await stat(pool.metadata).catch(() => 'absent')).to.equal('absent');
  });

  it('refuses a state directory that is a symbolic link', async () => {
    await symlink('/tmp', at('state'));
    const pool = poolStatePaths({ stateDir: at('state'), pool: { name: 'default', uuid } });
    expect(await rejection(ensurePoolStateDirs(pool, UID))).to.be.instanceOf(IntegrityError);
  });
});

describe('default directories', () => {
  for (const [what, env, uid, state, cache] of [
    [
      'root, whatever the environment',
      { XDG_STATE_HOME: '/x', HOME: '/root' },
      0,
      '/var/lib/poolkeeper',
      '/var/cache/poolkeeper',
    ],
    ['XDG', { XDG_STATE_HOME: '/s', XDG_CACHE_HOME: '/c', HOME: '/h' }, 1000, '/s/poolkeeper', '/c/poolkeeper'],
    ['HOME', { HOME: '/h' }, 1000, '/h/.local/state/poolkeeper', '/h/.cache/poolkeeper'],
    [
      'relative and empty XDG values, which do not count',
      { XDG_STATE_HOME: 's', XDG_CACHE_HOME: '', HOME: '/h' },
      1000,
      '/h/.local/state/poolkeeper',
      '/h/.cache/poolkeeper',
    ],
  ] as const) {
    it(`follow ${what}`, () => {
      expect([defaultStateDir(env, uid), defaultCacheDir(env, uid)]).to.deep.equal([state, cache]);
    });
  }

  it('are asked for when the environment names no home', () => {
    expect(() => defaultStateDir({}, 1000)).to.throw(UsageError);
    expect(() => defaultCacheDir({ HOME: 'relative' }, 1000)).to.throw(UsageError);
  });
});
